"""Columns of numbers that grow: one row an event, one column a metric."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpo_tui.metrics.scalars import LARGEST, number

Steps = NDArray[np.int64]
Values = NDArray[np.float64]

MAX_COLUMNS = 256
"""Columns a table may have: a file that makes up a name for every event shall not fill the memory."""

_PLAIN = frozenset({float, int, type(None)})
_FIRST_ROWS = 256


class Table:
    """Rows in ascending order of `step`. A row for a step that lies behind replaces everything from it on."""

    def __init__(self, left_out: frozenset[str] = frozenset()) -> None:
        self._left_out = left_out
        self._length = 0
        self._steps: Steps = np.empty(0, np.int64)
        self._columns: dict[str, Values] = {}

    def __len__(self) -> int:
        return self._length

    @property
    def steps(self) -> Steps:
        """The step of each row: a view, good until the table changes."""
        return self._steps[: self._length]

    def names(self) -> list[str]:
        """The columns that ever held a number, in the order in which they appeared."""
        return list(self._columns)

    def column(self, name: str) -> Values:
        """A column's values, NaN where there are none: a view, good until the table changes."""
        if name not in self._columns:
            return np.full(self._length, np.nan)
        return self._columns[name][: self._length]

    def append(self, steps: Sequence[int], rows: Sequence[Mapping[str, Any]]) -> None:
        """Add a row for each of `steps`, at least one, with the numbers it holds."""
        added = np.array(steps, np.int64)
        kept = _told_last(added)
        self.forget(int(added[kept][0]) - 1)
        start, end = self._length, self._length + int(kept.sum())
        self._reserve(end)
        self._steps[start:end] = added[kept]
        self._length = end
        for name in dict.fromkeys(chain.from_iterable(rows)):
            if name not in self._left_out:
                self._fill(name, start, end, numbers([row.get(name) for row in rows])[kept])

    def forget(self, beyond: int) -> None:
        """Drop the rows of the steps after `beyond`."""
        length = int(np.searchsorted(self.steps, beyond, side="right"))
        if length < self._length:
            for column in self._columns.values():
                column[length : self._length] = np.nan
            self._length = length

    def _fill(self, name: str, start: int, end: int, values: Values) -> None:
        column = self._columns.get(name)
        if column is None:
            if len(self._columns) >= MAX_COLUMNS or np.isnan(values).all():
                return
            column = self._columns[name] = np.full(len(self._steps), np.nan)
        column[start:end] = values

    def _reserve(self, rows: int) -> None:
        """Room for `rows`, at least doubled, so that a row costs the same however many there are."""
        if rows <= len(self._steps):
            return
        more = max(rows, 2 * len(self._steps), _FIRST_ROWS) - len(self._steps)
        self._steps = np.concatenate([self._steps, np.zeros(more, np.int64)])
        nothing = np.full(more, np.nan)
        self._columns = {name: np.concatenate([old, nothing]) for name, old in self._columns.items()}


def numbers(values: Sequence[Any]) -> Values:
    """As floats; whatever is no number, not finite, or absurdly large is NaN."""
    try:
        plain = _PLAIN.issuperset(map(type, values))
        array = np.array(values if plain else [number(value) for value in values], np.float64)
    except OverflowError:
        array = np.array([number(value) for value in values], np.float64)
    array[~(np.abs(array) < LARGEST)] = np.nan
    return array


def _told_last(steps: Steps) -> NDArray[np.bool_]:
    """Which rows count: those after which no row is told of the same or an earlier step."""
    later = np.minimum.accumulate(steps[::-1])[::-1]
    return np.append(steps[:-1] < later[1:], True)
