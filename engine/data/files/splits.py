"""The splits and subsets of a dataset: what is asked for must be there, or what there is instead is told."""

from collections.abc import Iterable, Sequence

from engine.config.schema import Source
from engine.exits import UnusableError
from engine.sanitize import one_line

NAMES_SHOWN = 12
METADATA = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
"""Files that `datasets` writes beside the data, and reads by their names."""

ALL = "all"
"""Names every split there is."""


def asked_splits(split: str) -> list[str]:
    """The names in a split like `train[:100]+test`."""
    return [part.partition("[")[0].strip() for part in split.split("+")]


def require_split(source: Source, splits: Iterable[str]) -> None:
    """Raises UnusableError where the dataset does not have every split that is asked for."""
    known = [*map(str, splits)]
    if missing := [name for name in asked_splits(source.split) if name not in (*known, ALL)]:
        text = f'The dataset {source.path} has no split "{missing[0]}", only {_names(known)}. Set split to one of them.'
        raise UnusableError("data.no_split", one_line(text), path=source.path, split=missing[0], splits=known)


def no_subset(source: Source, names: Sequence[str]) -> UnusableError:
    """The subset asked for is not one of these, or one of them must be chosen."""
    fault = f'has no subset "{source.subset}", only' if source.subset else "has several subsets:"
    text = f'The dataset {source.path} {fault} {_names(names)}. Choose one in [[data.sources]]: subset = "{names[0]}".'
    return UnusableError(
        "data.no_subset", one_line(text), path=source.path, subset=source.subset, names=list(names)
    )


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
