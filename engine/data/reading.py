"""A source as candidates for training: its rows under the layout's names, joined where it says so, and read."""

import math
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from engine.config.schema import Source
from engine.data.encoding.encoder import Candidate
from engine.data.encoding.limits import Dropped
from engine.data.files.sources import Row, open_source
from engine.data.formats.detect import DETECTION_ROWS, detect
from engine.data.formats.format import Fields, Format
from engine.data.formats.scores import SCORE_COLUMNS, margin
from engine.data.formats.table import format_named
from engine.data.rows.columns import renamed
from engine.data.rows.exclude import Drop, Exclusion, nobody
from engine.data.rows.messages import NoPair, Preference, RowError
from engine.data.watch import Watch
from engine.exits import UnusableError
from engine.sanitize import one_line

POLL_ROWS = 512
"""Rows read between two words with the watch."""


class Reading:
    """One pass over a source.

    layout: how its rows are read, where that is known already. scratch: a folder for what a join keeps on disk,
    made when it is needed. drop: told of the rows that `exclude` leaves out, which are no candidates. Raises what
    opening a source raises, and `UnusableError` when there are no rows, or none left, or none in a known layout.
    """

    def __init__(
        self,
        source: Source,
        watch: Watch,
        scratch: Path,
        layout: Format | None = None,
        drop: Drop = nobody,
    ) -> None:
        opened = open_source(source)
        self.source = source
        self.watch = watch
        self.scratch = scratch
        self.total = opened.total
        self.files = opened.files
        self.rows = 0
        self._unscored = 0
        self.exclusion = Exclusion(source, drop)
        self._rows = renamed(self.exclusion.kept(self._counted(opened.rows)), source.columns)
        first = self._first_rows()
        self.layout = layout or self._find_layout(first)
        self.unread = self.layout.of_no_use(first)

    def candidates(self) -> Iterator[tuple[Row, Candidate]]:
        """Every row that may be a pair, with the preference read from it or why there is none.

        Raises `UnusableError` for the first row that cannot be understood.
        """
        join = self.layout.join
        rows = self._rows
        if join is not None:
            self.scratch.mkdir(parents=True, exist_ok=True)
            rows = join(self._sound(rows), self.scratch)
        for row in rows:
            yield row, self._candidate(row)

    def _counted(self, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            self.rows += 1
            if self.rows % POLL_ROWS == 0:
                self.watch.poll()
                self.watch.progress(self.rows, None)
            yield row

    def _first_rows(self) -> list[Fields]:
        """What the first rows hold, which are put back."""
        first = list(islice(self._rows, DETECTION_ROWS))
        if not first:
            raise _no_rows(self.source.path, self.rows)
        self._rows = chain(first, self._rows)
        return [row.fields for row in first]

    def _find_layout(self, first: Sequence[Fields]) -> Format:
        """As given by name, or told from the first rows."""
        named = format_named(self.source.format) if self.source.format != "auto" else None
        return named or detect(first, self.source.path)

    def _sound(self, rows: Iterator[Row]) -> Iterator[Row]:
        """The rows as they go into a join, each looked at before anything is made of it."""
        for row in rows:
            problem = self.layout.row_problem(row.fields)
            if problem:
                raise bad_row(row, problem)
            yield row

    def _candidate(self, row: Row) -> Candidate:
        try:
            preference = self.layout.preference(row.fields)
        except NoPair as none:
            return Dropped(none.reason, none.detail)
        except RowError as error:
            raise bad_row(row, str(error)) from error
        return preference if self.source.min_margin is None else self._apart(row, preference)

    def _apart(self, row: Row, preference: Preference) -> Candidate:
        """The preference when its scores are `min_margin` apart. Raises `UnusableError` when no row has any."""
        found = margin(row.fields)
        if found is not None and math.isfinite(found):
            self._unscored = -1
            return preference if found >= (self.source.min_margin or 0) else Dropped("margin")
        if self._unscored >= 0:
            self._unscored += 1
            if self._unscored == DETECTION_ROWS:
                raise self._no_scores()
        return Dropped("no_score")

    def require_scores(self) -> None:
        """After the last row of a source too short to tell before: raise when no row had a score."""
        if self._unscored > 0:
            raise self._no_scores()

    def _no_scores(self) -> UnusableError:
        text = (
            f"{self.source.path}: min_margin is set, and its first rows have no scores. Known columns for them: "
            f"{', '.join(SCORE_COLUMNS)}. Name yours in `columns` of this source, or leave min_margin out."
        )
        return UnusableError(
            "data.no_scores", one_line(text), path=self.source.path, columns=list(SCORE_COLUMNS)
        )


def _no_rows(path: str, excluded: int) -> UnusableError:
    if excluded:
        text = f"{path}: `exclude` leaves out all {excluded:,} rows read. Name fewer values, or remove this source."
        return UnusableError("data.all_excluded", one_line(text), path=path, rows=excluded)
    text = f"{path}: holds no rows. Check the path and the split."
    return UnusableError("data.no_rows", text, path=path)


def bad_row(row: Row, problem: str) -> UnusableError:
    """The error of a row that stops the run."""
    text = one_line(f"{row.where}: {problem}. Mend or remove this row.")
    return UnusableError("data.bad_row", text, where=row.where, problem=problem)
