"""Rows of a dataset on the Hugging Face hub: always of one commit, downloaded or as a stream."""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.config.local import expanded
from engine.config.schema import Source
from engine.data.files.splits import no_subset, require_split
from engine.data.files.text_files import NumberedRow
from engine.exits import CannotWriteError, EngineError, HubError, UnusableError, UsageError
from engine.models.hub import commit_of, require_commit
from engine.models.hub_client import retried
from engine.models.hub_errors import AWAY, Repo, first_line, gated, hub_error, not_found
from engine.sanitize import one_line

REPO = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
BATCH_ROWS = 256
STREAM_ATTEMPTS = 3
"""How often a part of a stream is asked for; `datasets` would go on for ten minutes, and say nothing."""

_log = logging.getLogger(__name__)


def open_hub(source: Source) -> tuple[int | None, Iterator[NumberedRow]]:
    """Number of rows (None for a stream), and the rows numbered from 1. Code that comes with a dataset is never run.

    Raises `HubError` (unreachable, refused, not found), `UnusableError` (no such subset or split, nothing readable
    in it), `UsageError` (the path is no repo id) or `CannotWriteError` (no room for the download); a stream
    raises them while it is read, too.
    """
    _require_repo_id(source.path)
    repo = Repo(source.path, "dataset", commit_of(source.path, source.revision, "dataset"))
    if source.streaming:
        return None, _streamed(source, repo)
    table = _table(source, repo)
    return len(table), _rows(table)


def _table(source: Source, repo: Repo) -> Any:
    """The split as a table on this disk. While the hub is away, what was made of the same commit before will do."""
    try:
        require_commit(repo)
    except HubError as error:
        kept = _kept(source, repo) if error.code in AWAY else None
        if kept is None:
            raise
        _log.warning("%s Going on with subset %s of the local cache.", error.text, kept.config.name)
        builder = kept
    else:
        builder = _builder(source, repo)
    require_split(source, builder.config.data_files or builder.info.splits or ())
    with dataset_errors(source, repo):
        retried(builder.download_and_prepare)
        return builder.as_dataset(split=source.split)


def _streamed(source: Source, repo: Repo) -> Iterator[NumberedRow]:
    """Rows as they arrive; a file is read no further than asked for, and not kept."""
    import datasets  # type: ignore[import-untyped, unused-ignore]

    datasets.config.STREAMING_READ_MAX_RETRIES = STREAM_ATTEMPTS
    require_commit(repo)
    builder = _builder(source, repo)
    require_split(source, builder.config.data_files or ())
    with dataset_errors(source, repo):
        stream = builder.as_streaming_dataset(split=source.split)
        yield from enumerate(stream, 1)


def _rows(table: Any) -> Iterator[NumberedRow]:
    number = 0
    for columns in table.iter(batch_size=BATCH_ROWS):
        for values in zip(*columns.values(), strict=True):
            number += 1
            yield number, dict(zip(columns, values, strict=True))


def _require_repo_id(path: str) -> None:
    """A path that means something on this disk would be read from there, whatever the config says."""
    if os.path.exists(expanded(path)):  # a path's own methods raise for one that is too long
        text = f'{path} is on this disk. Write source = "local" for it in [[data.sources]].'
        raise UsageError("data.hub_path_is_local", text, path=path)
    if not REPO.fullmatch(path):
        text = f'"{path}" is not the id of a dataset: expected owner/name. For files write source = "local".'
        raise UsageError("data.bad_repo_id", text, path=path)


def _builder(source: Source, repo: Repo) -> Any:
    """What `datasets` knows of this subset at this commit; no rows are fetched yet."""
    import datasets  # type: ignore[import-untyped, unused-ignore]

    with dataset_errors(source, repo):
        try:
            builder = retried(
                lambda: datasets.load_dataset_builder(source.path, name=source.subset, revision=repo.revision)
            )
        except ValueError:
            names = datasets.get_dataset_config_names(source.path, revision=repo.revision)
            if source.subset in names or (source.subset is None and len(names) == 1):
                raise
            raise no_subset(source, names) from None
    if builder.hash != repo.revision:  # it met a fault, and took what its cache holds of any other commit
        text = f"Cannot download {repo.title}: the hub did not send all that describes it. Try again."
        raise HubError("hub.broken", text, case="lacking", repo=repo.id)
    return builder


def _kept(source: Source, repo: Repo) -> Any:
    """The builder of what `datasets` made of exactly this commit and subset before; None if there is no such thing.

    Asked by name without a network, `datasets` would take whichever commit it met last.
    """
    import datasets
    from datasets.naming import camelcase_to_snakecase  # type: ignore[import-untyped, unused-ignore]
    from datasets.packaged_modules.cache.cache import Cache  # type: ignore[import-untyped, unused-ignore]

    owner, _, name = source.path.rpartition("/")
    folder = f"{owner}___{camelcase_to_snakecase(name)}" if owner else camelcase_to_snakecase(name)
    records = Path(datasets.config.HF_DATASETS_CACHE, folder).glob(f"*/*/{repo.revision}/dataset_info.json")
    found = [record.parent.parts[-3:] for record in records]
    wanted = [parts for parts in found if source.subset in (None, parts[0])]
    if len(wanted) != 1:
        return None
    subset, version, commit = wanted[0]
    return Cache(dataset_name=name, config_name=subset, version=version, hash=commit, repo_id=source.path)


@contextmanager
def dataset_errors(source: Source, repo: Repo) -> Iterator[None]:
    """Turns whatever `datasets` raises inside into an EngineError: its causes are without number, and all about
    this dataset.
    """
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        raise _translated(error, source, repo) from error


def _translated(error: Exception, source: Source, repo: Repo) -> EngineError:
    if type(error).__name__ == "DatasetNotFoundError":  # all that is left of the hub's answer
        return (gated if "is a gated dataset" in str(error) else not_found)(repo, "download")
    if str(error).startswith("Not enough disk space"):
        text = f"Cannot keep {repo.title}: {first_line(error)}. Free some, or set HF_HOME to another disk."
        return CannotWriteError("data.hub_no_space", text, path=source.path, detail=first_line(error))
    return hub_error(error, repo, "download") or _unusable(error, source, repo)


def _unusable(error: Exception, source: Source, repo: Repo) -> UnusableError:
    """The dataset is there, and not as expected: a script, broken files, columns that differ between files."""
    cause = _cause(error)
    text = f"The dataset {source.path} (split {source.split}) cannot be used: {cause}. "
    if "scripts are no longer supported" in cause:
        text += 'The hub may have its rows as tables: set revision = "refs/convert/parquet"'
    else:
        text += f"See {repo.page}" + (", or set streaming = false" if source.streaming else "")
    return UnusableError(
        "data.hub_unusable", one_line(text), path=source.path, split=source.split, cause=cause
    )


def _cause(error: Exception) -> str:
    """The line that says something: `datasets` wraps what went wrong in "An error occurred while generating"."""
    cause: BaseException = error
    if "An error occurred while generating" in str(error) and error.__cause__ is not None:
        cause = error.__cause__
    if type(cause).__name__ == "CastError":
        return f"all of its files must have the same columns, but {first_line(cause.details())}"  # type: ignore[attr-defined]
    return first_line(cause)
