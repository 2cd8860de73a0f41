"""Columns by hand: a row under the names of a layout, whatever the data calls them."""

import difflib
from collections.abc import Iterator, Mapping

from engine.data.files.sources import Row
from engine.exits import UnusableError
from engine.sanitize import one_line

SHOWN = 20


def renamed(rows: Iterator[Row], columns: Mapping[str, str] | None) -> Iterator[Row]:
    """The rows with the columns of a source's `columns` alone (layout's name = name in the data); all if None.

    Raises `UnusableError` for a row that lacks one of them.
    """
    return rows if columns is None else (_renamed(row, columns) for row in rows)


def _renamed(row: Row, columns: Mapping[str, str]) -> Row:
    try:
        fields = {name: row.fields[column] for name, column in columns.items()}
    except KeyError as error:
        raise _missing(row, columns) from error
    return Row(row.place, row.number, row.by_line, fields)


def _missing(row: Row, columns: Mapping[str, str]) -> UnusableError:
    name, column = next((name, column) for name, column in columns.items() if column not in row.fields)
    near = difflib.get_close_matches(column, row.fields, 1)
    found = ", ".join(list(row.fields)[:SHOWN]) or "none"
    hint = f'Did you mean "{near[0]}"?' if near else f"Columns here: {found}."
    text = one_line(f'{row.where}: there is no column "{column}", which `columns` names for {name}. {hint}')
    return UnusableError(
        "data.column_missing",
        text,
        where=row.where,
        column=column,
        name=name,
        near=near,
        columns=list(row.fields),
    )
