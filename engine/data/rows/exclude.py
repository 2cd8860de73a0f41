"""Rows that a source leaves out by the value of a column, before anything else is made of them."""

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from engine.config.schema import Source
from engine.data.files.sources import Row
from engine.data.report.tallies import Excluded
from engine.exits import UnusableError
from engine.sanitize import one_line

Drop: TypeAlias = Callable[[str, str], None]
"""Told of a row that is left out: the reason, a key of `tallies.DROPPED`, and where the row stands."""

FIRST_ROWS = 64
"""Rows whose columns are remembered for the message; and of a stream, which is read once, all that are waited for."""

MOST_SEEN = 200
"""Different values of a column that are remembered, for the one that was meant."""

LONGEST_SEEN = 100
"""Characters of those that are text."""

COLUMNS_SHOWN = 20


def nobody(_reason: str, _place: str) -> None:
    """Nobody is told."""


class Exclusion:
    """What `exclude` of a source leaves out, and how much of it was there: `values`, filled as rows are read.

    Columns have the names of the data, as `columns` has not been at them yet. A row without the column stays.
    """

    def __init__(self, source: Source, drop: Drop = nobody) -> None:
        self.values: list[Excluded] = []
        self._source = source
        self._drop = drop
        self._wanted: dict[str, dict[tuple[bool, Any], Excluded]] = {}
        for column, values in (source.exclude or {}).items():
            told = {_key(value): Excluded(column, written(value)) for value in values}
            self._wanted[column] = told
            self.values += told.values()
        self._lacking = set(self._wanted)
        self._seen: dict[str, dict[str, None]] = {column: {} for column in self._wanted}

    def kept(self, rows: Iterator[Row]) -> Iterator[Row]:
        """The rows that stay. Raises `UnusableError` when none of them all, or of a stream's first, has a column."""
        return self._kept(rows) if self._wanted else rows

    def _kept(self, rows: Iterator[Row]) -> Iterator[Row]:
        number, columns = 0, dict[str, None]()
        for number, row in enumerate(rows, 1):
            if number <= FIRST_ROWS:
                columns |= dict.fromkeys(row.fields)
            found = self._found(row.fields)
            if found is None:
                yield row
            else:
                found.rows += 1
                self._drop("excluded", row.where)
            if self._source.streaming and number == FIRST_ROWS:
                self._require_columns(number, list(columns))
        if number:
            self._require_columns(number, list(columns))
        self._name_nearest()

    def _found(self, fields: Mapping[str, Any]) -> Excluded | None:
        """The first value of `exclude` that a row has."""
        result: Excluded | None = None
        for column, wanted in self._wanted.items():
            if column not in fields:
                continue
            self._lacking.discard(column)
            value = fields[column]
            if isinstance(value, str | int | float):
                result = result or wanted.get(_key(value))
                seen = self._seen[column]
                if len(seen) < MOST_SEEN and not (isinstance(value, str) and len(value) > LONGEST_SEEN):
                    seen[written(value)] = None
        return result

    def _require_columns(self, rows: int, columns: list[str]) -> None:
        for column in self._wanted:
            if column in self._lacking:
                raise _no_column(self._source.path, column, rows, columns)

    def _name_nearest(self) -> None:
        """For each value that no row has, the one that may have been meant; 7 for "7", which is text."""
        for value in self.values:
            if not value.rows:
                there = {_bare(seen): seen for seen in self._seen[value.column]}
                near = difflib.get_close_matches(_bare(value.value), there, 1)
                value.near = there[near[0]] if near else ""


def _key(value: Any) -> tuple[bool, Any]:
    """What a value is found by: 1 and 1.0 are the same, and true is neither."""
    return isinstance(value, bool), value


def written(value: Any) -> str:
    """A value as a config has it."""
    return json.dumps(value, ensure_ascii=False)


def _bare(value: str) -> str:
    """What a value has in common with those that are written alike, but for quotes and capitals."""
    return value.strip('"').lower()


def _no_column(path: str, column: str, rows: int, columns: list[str]) -> UnusableError:
    near = difflib.get_close_matches(column, columns, 1)
    found = ", ".join(columns[:COLUMNS_SHOWN]) or "none"
    hint = f'Did you mean "{near[0]}"?' if near else f"Columns here: {found}."
    text = (
        f'{path}: `exclude` names the column "{column}", and none of the {rows:,} rows read has one. {hint}'
    )
    return UnusableError(
        "data.exclude_column",
        one_line(text),
        path=path,
        column=column,
        rows=rows,
        near=near,
        columns=columns,
    )
