"""From sources to encoded pairs on disk, in a stream, with the account of every row."""

import hashlib
import json
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engine.config.schema import Source
from engine.data.formats import DETECTION_ROWS, Format, detect, format_named
from engine.data.limits import Dropped, Encoded, Lengths
from engine.data.messages import Preference, RowError
from engine.data.pairs import PairWriter
from engine.data.report import Report, length_bias, percentiles
from engine.data.sources import Row, open_source
from engine.data.split import prompt_key
from engine.data.tallies import SourceReport, Tally
from engine.data.tokenize import Encoder
from engine.exits import StopRequested, UnusableError
from engine.sanitize import one_line

Progress: TypeAlias = Callable[[int, int | None], None]

BATCH_ROWS = 64
"""Rows encoded at once, and between two looks at whether to stop."""


class Collector:
    """Reads sources into a writer. What it keeps in memory is some 60 bytes a pair."""

    def __init__(self, encoder: Encoder, writer: PairWriter, report: Report, seed: int) -> None:
        self.encoder = encoder
        self.writer = writer
        self.report = report
        self.seed = seed
        self.prompt_keys = array("Q")
        self._row_keys = array("Q")
        self._kept = array("q")  # file and line or row of each pair, so that duplicates can be named
        self._files: list[tuple[str, bool]] = []
        self._lengths = array("i")  # prompt, chosen, rejected of every tokenised pair
        self._totals: list[int | None] = []

    def read(self, number: int, source: Source, progress: Progress, should_stop: Callable[[], bool]) -> None:
        """Read, encode and write one source; `number` is its index in the config.

        Raises `UnusableError` for the first row that cannot be understood, `StopRequested` when asked to stop.
        """
        opened = open_source(source)
        self._totals.append(opened.total)
        rows, layout = _with_format(source, opened.rows)
        account = SourceReport(source.path, layout.name, source.format == "auto", opened.files)
        self.report.sources.append(account)
        while batch := list(islice(rows, BATCH_ROWS)):
            if should_stop():
                raise StopRequested("data.stopped", "Stopped while preparing the data, as asked.")
            self._add(number, account, batch, [_preference(layout, row) for row in batch])
            progress(self.report.rows, None if None in self._totals else sum(filter(None, self._totals)))

    def _add(
        self, number: int, account: SourceReport, rows: Sequence[Row], preferences: list[Preference]
    ) -> None:
        encoded = self.encoder.encode(preferences)
        for row, preference, result in zip(rows, preferences, encoded, strict=True):
            self.report.rows += 1
            account.rows += 1
            self._measure(result.lengths)
            if isinstance(result, Dropped):
                self.report.drop(result.reason, row.where, result.detail)
            else:
                account.kept += 1
                self._keep(number, account.rows, row, preference, result)

    def _measure(self, lengths: Lengths | None) -> None:
        if lengths:
            self._lengths.extend((lengths.prompt, lengths.chosen, lengths.rejected))

    def _keep(self, number: int, ordinal: int, row: Row, preference: Preference, result: Encoded) -> None:
        for part in result.cut:
            self.report.cut.setdefault(part, Tally()).add(row.where)
        self.report.kept += 1
        self.writer.add(result.pair, number, ordinal)
        self.prompt_keys.append(prompt_key(json.dumps(preference.prompt), self.seed))
        self._row_keys.append(_row_key(preference))
        if not self._files or self._files[-1] != (row.place, row.by_line):
            self._files.append((row.place, row.by_line))
        self._kept.extend((len(self._files) - 1, row.number))

    def finish(self) -> npt.NDArray[np.uint64]:
        """Complete the report; the prompts' keys of the pairs written, in order."""
        lengths = np.array(self._lengths, dtype=np.int32).reshape(-1, 3)
        if len(lengths):
            names = ("prompt", "chosen", "rejected")
            self.report.lengths = {name: percentiles(lengths[:, at]) for at, name in enumerate(names)}
            self.report.length_bias = length_bias(lengths[:, 1], lengths[:, 2])
        self._count_duplicates()
        return np.array(self.prompt_keys, dtype=np.uint64)

    def _count_duplicates(self) -> None:
        keys = np.array(self._row_keys, dtype=np.uint64)
        repeated = np.ones(len(keys), dtype=np.bool_)
        repeated[np.unique(keys, return_index=True)[1]] = False
        for index in np.flatnonzero(repeated).tolist():
            place, by_line = self._files[self._kept[2 * index]]
            self.report.duplicates.add(Row(place, self._kept[2 * index + 1], by_line, {}).where)


def _row_key(preference: Preference) -> int:
    parts = json.dumps([preference.prompt, preference.chosen, preference.rejected]).encode()
    return int.from_bytes(hashlib.blake2b(parts, digest_size=8).digest(), "little")


def _with_format(source: Source, rows: Iterator[Row]) -> tuple[Iterator[Row], Format]:
    """All rows again, and their format: as given by name, or told from the first of them."""
    if source.format != "auto":
        return rows, format_named(source.format)
    first = list(islice(rows, DETECTION_ROWS))
    if not first:
        text = f"{source.path}: holds no rows. Check the path and the split."
        raise UnusableError("data.no_rows", text, path=source.path)
    return chain(first, rows), detect([row.fields for row in first], source.path)


def _preference(layout: Format, row: Row) -> Preference:
    try:
        return layout.preference(row.fields)
    except RowError as error:
        text = one_line(f"{row.where}: {error}. Mend or remove this row.")
        raise UnusableError("data.bad_row", text, where=row.where, problem=str(error)) from error
