"""From sources to encoded pairs on disk, in a stream, with the account of every row."""

from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engine.config.schema import Source
from engine.data.encoding.encoder import Candidate, Encoder, characters
from engine.data.encoding.limits import Dropped, Encoded, Lengths
from engine.data.encoding.render import BadRow
from engine.data.files.sources import Row
from engine.data.formats.format import Format
from engine.data.prepared.pairs import PairWriter
from engine.data.prepared.split import prompt_key
from engine.data.reading import Reading, bad_row
from engine.data.report.report import Report, histogram, length_bias, percentiles
from engine.data.report.tallies import SourceReport, Tally
from engine.data.rows.keys import pair_key, prompt_bytes
from engine.data.rows.messages import TextPreference
from engine.data.watch import Watch

Batch: TypeAlias = list[tuple[Row, Candidate]]

BATCH_ROWS = 256
BATCH_CHARACTERS = 1 << 19
"""What is encoded at once, and between two looks at whether to stop: rows, and about the text in them."""


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
        self._files: dict[tuple[str, bool], int] = {}
        self._lengths = array("i")  # prompt, chosen, rejected of every tokenised pair

    def read(self, number: int, source: Source, layout: Format, watch: Watch, scratch: Path) -> int:
        """Read, encode and write one source; `number` is its index in the config. Returns how many candidates it had.

        scratch: a folder for what a join keeps on disk. Raises `UnusableError` for the first row that cannot be
        understood, `StopRequested` when asked to stop.
        """
        reading = Reading(source, Watch(should_stop=watch.should_stop), scratch, layout, self.report.drop)
        account = SourceReport(source.path, reading.layout.name, source.format == "auto", reading.files)
        account.excluded, account.unread = reading.exclusion.values, reading.unread
        self.report.sources.append(account)
        before = self.report.rows
        done = 0
        for batch, results in self._encoded(batches(reading.candidates())):
            self._add(number, account, done, batch, results)
            done += len(batch)
            account.rows, self.report.rows = reading.rows, before + reading.rows
            watch.poll()
            watch.progress(done, None)
        reading.require_scores()
        account.rows, self.report.rows = reading.rows, before + reading.rows
        account.joined = None if reading.layout.join is None else done
        return done

    def _encoded(self, read: Iterable[Batch]) -> Iterator[tuple[Batch, list[Encoded | Dropped]]]:
        ahead: deque[Batch] = deque()

        def candidates() -> Iterator[list[Candidate]]:
            for batch in read:
                ahead.append(batch)
                yield [candidate for _, candidate in batch]

        try:
            for results in self.encoder.encode_all(candidates()):
                yield ahead.popleft(), results
        except BadRow as error:
            raise bad_row(ahead[-1][error.index][0], error.problem) from error

    def _add(
        self, number: int, account: SourceReport, before: int, batch: Batch, results: list[Encoded | Dropped]
    ) -> None:
        for ordinal, ((row, candidate), result) in enumerate(zip(batch, results, strict=True), before + 1):
            self._measure(result.lengths)
            if isinstance(result, Dropped):
                self.report.drop(result.reason, row.where, result.detail)
            else:
                account.kept += 1
                self.writer.add(result.pair, number, ordinal)
                self._keep(row, candidate, result)

    def _measure(self, lengths: Lengths | None) -> None:
        if lengths:
            self._lengths.extend((lengths.prompt, lengths.chosen, lengths.rejected))

    def _keep(self, row: Row, candidate: Candidate, result: Encoded) -> None:
        assert not isinstance(candidate, Dropped)
        self.report.kept += 1
        for part in result.cut:
            self.report.cut.setdefault(part, Tally()).add(row.where)
        if result.tools_lost:
            self.report.tools_lost.add(row.where)
        if isinstance(candidate, TextPreference) and self.encoder.renderer.exists:
            self.report.text_for_chat.add(row.where)
        prompt = prompt_bytes(candidate)
        self.prompt_keys.append(prompt_key(prompt, self.seed))
        self._row_keys.append(pair_key(candidate, prompt))
        file = self._files.setdefault((row.place, row.by_line), len(self._files))
        self._kept.extend((file, row.number))

    def finish(self) -> npt.NDArray[np.uint64]:
        """Complete the report; the prompts' keys of the pairs written, in order."""
        lengths = np.array(self._lengths, dtype=np.int32).reshape(-1, 3)
        if len(lengths):
            names = ("prompt", "chosen", "rejected")
            self.report.lengths = {name: percentiles(lengths[:, at]) for at, name in enumerate(names)}
            self.report.histograms = {name: histogram(lengths[:, at]) for at, name in enumerate(names)}
            self.report.length_bias = length_bias(lengths[:, 1], lengths[:, 2])
        self._count_duplicates()
        return np.array(self.prompt_keys, dtype=np.uint64)

    def _count_duplicates(self) -> None:
        keys = np.array(self._row_keys, dtype=np.uint64)
        repeated = np.ones(len(keys), dtype=np.bool_)
        repeated[np.unique(keys, return_index=True)[1]] = False
        files = list(self._files)
        for index in np.flatnonzero(repeated).tolist():
            place, by_line = files[self._kept[2 * index]]
            self.report.duplicates.add(Row(place, self._kept[2 * index + 1], by_line, {}).where)


def batches(candidates: Iterable[tuple[Row, Candidate]]) -> Iterator[Batch]:
    """The candidates in batches of at most `BATCH_ROWS`, and about `BATCH_CHARACTERS` unless one has more."""
    batch: Batch = []
    size = 0
    for row, candidate in candidates:
        batch.append((row.without_fields(), candidate))
        size += 0 if isinstance(candidate, Dropped) else characters(candidate)
        if len(batch) >= BATCH_ROWS or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
