"""What training would make of the first rows of each source: the report, and the pairs one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transformers import PreTrainedTokenizerBase

from engine.config.schema import HUBS, Config, Source
from engine.data.command import rendered_pair
from engine.data.files.sources import open_source
from engine.data.prepare import make_pairs
from engine.data.prepared.prepared_set import Prepared
from engine.data.report.report import Report
from engine.data.watch import Watch
from engine.exits import HubError, UnusableError
from engine.sanitize import one_line

SHOWN = 3
"""Pairs that come with the report."""

RARE = "data.exclude_unmatched"
"""A warning that only all rows can give: what the first ones lack may come later."""

NO_HUB = ("hub.offline", "hub.unreachable")


@dataclass(frozen=True, slots=True)
class DataPreview:
    """Prepared pairs and the report on them; the files they were read from need not be there any more."""

    prepared: Prepared
    tokenizer: PreTrainedTokenizerBase
    partial: bool
    """Whether a source has more rows than were read."""

    @property
    def count(self) -> int:
        held_out = self.prepared.eval
        return len(self.prepared.train) + (len(held_out) if held_out else 0)

    def pair(self, index: int) -> dict[str, Any]:
        """One pair as text: those to train on come first, then those held out."""
        train, held_out = self.prepared.train, self.prepared.eval
        pair = train[index] if held_out is None or index < len(train) else held_out[index - len(train)]
        return {"index": index, **rendered_pair(pair, self.tokenizer)}

    def to_json(self) -> dict[str, Any]:
        """The report's values, the first pairs, and the lengths as histograms."""
        report = self.prepared.report
        pairs = [self.pair(index) for index in range(min(SHOWN, self.count))]
        edges = {part: max(1, values["p99"]) for part, values in report.lengths.items()}
        counts = {"count": self.count, "partial": self.partial, "bins": edges}
        told = report.to_json()
        told["warnings"] = [
            notice for notice in told["warnings"] if not (self.partial and notice["code"] == RARE)
        ]
        return {**told, **counts, "pairs": pairs}


def preview_data(
    config: Config, rows: int | None, tokenizer: PreTrainedTokenizerBase, scratch: Path, watch: Watch
) -> DataPreview:
    """Prepares at most `rows` rows of each source, as training would prepare them.

    Hub datasets are streamed, so that only these rows come over the network, and of ModelScope's only the files that
    hold them; what an earlier run has downloaded will do while there is none. Nothing is kept for later runs. Raises
    what `make_pairs` raises.
    """
    try:
        return _prepared(config, _bounded(config.data.sources, rows, True), tokenizer, scratch, watch)
    except HubError as error:
        if error.code not in NO_HUB:
            raise
        return _prepared(config, _bounded(config.data.sources, rows, False), tokenizer, scratch, watch)


def _bounded(sources: Sequence[Source], rows: int | None, stream: bool) -> list[Source]:
    if rows is None:
        return list(sources)
    return [
        source.model_copy(
            update={
                "limit": min(rows, source.limit or rows),
                "streaming": source.streaming or (stream and source.source == "hub"),
            }
        )
        for source in sources
    ]


def _prepared(
    config: Config, sources: list[Source], tokenizer: PreTrainedTokenizerBase, scratch: Path, watch: Watch
) -> DataPreview:
    data = config.data.model_copy(update={"sources": sources})
    bounded = config.model_copy(update={"data": data})
    with TemporaryDirectory(dir=scratch) as folder:  # the pairs are mapped: they outlive their files
        try:
            prepared = make_pairs(bounded, tokenizer, Path(folder), watch, shared=False)
        except UnusableError as error:
            raise _of_first_rows(error, config.data.sources, sources) from error
    partial = _partial(config.data.sources, sources, prepared.report)
    return DataPreview(prepared, tokenizer, partial)


def _of_first_rows(error: UnusableError, asked: Sequence[Source], read: Sequence[Source]) -> UnusableError:
    """That every row is left out, said of those that were read, where the source goes on behind them."""
    if error.code != "data.all_excluded":
        return error
    path, rows = str(error.params["path"]), int(error.params["rows"])
    cut = (
        whole.path == path and whole.limit != part.limit and part.limit == rows and _goes_on(whole, rows)
        for whole, part in zip(asked, read, strict=True)
    )
    if not any(cut):
        return error
    text = (
        f"{path}: `exclude` leaves out all of the first {rows:,} rows, and a preview reads no more: training "
        "reads the rest as well."
    )
    return UnusableError("preview.all_excluded", one_line(text), path=path, rows=rows)


def _partial(asked: Sequence[Source], read: Sequence[Source], report: Report) -> bool:
    """Whether a source that was cut short goes on."""
    sources = zip(asked, read, report.sources, strict=True)
    return any(
        whole.limit != part.limit and account.rows == part.limit and _goes_on(whole, account.rows)
        for whole, part, account in sources
    )


def _goes_on(source: Source, rows: int) -> bool:
    """Of a dataset of a hub nobody knows, unless it were read once more."""
    return source.source in HUBS or next(islice(open_source(source).rows, rows, None), None) is not None
