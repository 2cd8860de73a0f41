"""Which layout rows are in, told from the rows themselves; where that cannot be told, what to write instead."""

from collections.abc import Mapping, Sequence
from itertools import islice

from engine.data.formats.format import Fields, Format
from engine.data.formats.guess import blocked, nearest, promptless, suggested
from engine.data.formats.table import FORMATS
from engine.data.rows.shapes import empty, kind
from engine.exits import UnusableError
from engine.sanitize import one_line

DETECTION_ROWS = 64
"""Rows looked at to tell the layout: enough that a few broken ones do not decide."""

COLUMNS_SHOWN = 20


def detect(rows: Sequence[Fields], place: str, formats: Sequence[Format] = FORMATS) -> Format:
    """The only format that fits any row, or of several the one most rows are in; the others are errors of those rows.

    place: where the rows are from, for the message. Raises `UnusableError` when none fits, when several do, or
    when rows are in a layout that cannot be trained on.
    """
    seen = list(islice(rows, DETECTION_ROWS))
    counts = {entry.name: sum(entry.matches(fields) for fields in seen) for entry in formats}
    candidates = [entry for entry in formats if counts[entry.name]]
    if not candidates:
        raise _none_fits(seen, place, formats)
    winners = candidates
    if len(candidates) > 1:
        winners = [entry for entry in candidates if 2 * counts[entry.name] > len(seen)]
    if len(winners) != 1:
        raise _several_fit(winners or candidates, counts, place, list(seen[0]))
    if winners[0].refusal:
        raise _refused(winners[0], place, list(seen[0]))
    return winners[0]


def _refused(entry: Format, place: str, columns: list[str]) -> UnusableError:
    text = one_line(f"{place}: {entry.refusal}")
    return UnusableError(
        "data.format_refused", text, place=place, format=entry.name, columns=columns, detail=entry.refusal
    )


def _none_fits(seen: Sequence[Fields], place: str, formats: Sequence[Format]) -> UnusableError:
    first = seen[0] if seen else {}
    shown = [
        f"{column} ({'empty' if empty(value) else kind(value)})"
        for column, value in list(first.items())[:COLUMNS_SHOWN]
    ]
    more = len(first) - len(shown)
    columns = ", ".join(shown) + (f" and {more} more" if more > 0 else "") or "none"
    text = f"{place}: no known layout fits. Columns found: {columns}. {_advice(seen, formats)}"
    return UnusableError("data.format_unknown", one_line(text), place=place, columns=list(first))


def _advice(seen: Sequence[Fields], formats: Sequence[Format]) -> str:
    """What the nearest layouts lack, or stumble over, and what to write."""
    where = "Write in the source's [[data.sources]] which columns to read:"
    coded = next(
        (name for entry in formats for fields in seen if (name := _written_out(entry, fields))), None
    )
    if coded:
        return (
            f"`{coded}` is text that holds messages written out, as CSV files do: save the rows as JSON Lines or "
            'Parquet with lists of messages, or set format = "trl-explicit" if they are to be trained as text.'
        )
    for fields in seen:
        found = blocked(fields, formats)
        if found:
            entry, column, line = found
            return f"It would be {entry.name}, were it not for `{column}`, which that does not read. {where} {line}"
    first = seen[0] if seen else {}
    if promptless(first, formats[0].known):
        return (
            f"No column known holds the prompt of `chosen` and `rejected`. {where} {suggested(list(first))}"
        )
    layouts = "; ".join(
        f"{entry.name}: {', '.join((*entry.columns, *entry.marks))}" for entry in nearest(first, formats)
    )
    return f"Nearest layouts, with the columns they need: {layouts}. {where} {suggested(list(first))}"


def _written_out(entry: Format, fields: Fields) -> str | None:
    return entry.coded(fields) if entry.row_problem(fields) is None else None


def _several_fit(
    candidates: Sequence[Format], counts: Mapping[str, int], place: str, columns: list[str]
) -> UnusableError:
    names = [entry.name for entry in candidates]
    fits = " and ".join(f"{name} ({counts[name]} rows)" for name in names)
    text = (
        f"{place}: several layouts fit the first rows: {fits}. Which one is meant? Write it in the source's "
        f'[[data.sources]], for example format = "{names[0]}"; a file that mixes layouts has to be split.'
    )
    return UnusableError("data.format_ambiguous", one_line(text), place=place, formats=names, columns=columns)
