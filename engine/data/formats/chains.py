"""Rows that go on from one another: `parent_id` names the `id` of the row with the turns before."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.data.files.sources import Row
from engine.data.formats.format import PROBLEM, Fields, pick, problem
from engine.data.formats.readers import SYSTEM, TOLD, divided, with_system
from engine.data.formats.scratch import Shelf, digest, shelf
from engine.data.formats.turns import assistant, user
from engine.data.rows.messages import Message, Preference, RowError
from engine.data.rows.shapes import HISTORY, ID, TEXT, empty

PROMPT = "prompt|instruction|question|input"
CHOSEN = "chosen_response|chosen"
REJECTED = "rejected_response|rejected_answer|rejected"
REJECTED_PROMPT = "rejected_prompt|rejected_instruction|rejected_question|rejected_input"
NEEDED = {PROMPT: TEXT, CHOSEN: TEXT, REJECTED: TEXT}
OPTIONAL = {REJECTED_PROMPT: TEXT, **SYSTEM}

EARLIER = "(earlier turns)"
"""Where the join leaves the questions and chosen answers before a row, as [question, answer]."""


def join_chains(rows: Iterable[Row], scratch: Path) -> Iterator[Row]:
    """Rows with the turns before them: those that end a conversation, and others whose two answers differ.

    A row that others go on from, and whose answers are the same, is only a part of what comes after.
    """
    with shelf(scratch, "own", "parent") as aside:
        for row in rows:
            told = _unusable(row.fields)
            own, parent = (_key(row.fields.get(name)) for name in ("id", "parent_id"))
            if told:
                yield replace(row, fields={PROBLEM: told})
            elif own is None and parent is None:
                yield replace(row, fields=_without_marks(row.fields))
            else:
                aside.add(row, own, parent)
        for at, row in aside.find():
            yield from _chained(aside, at, row)


def _unusable(fields: Fields) -> str | None:
    return problem(fields, NEEDED, {**OPTIONAL, "id": ID, "parent_id": ID})


def _without_marks(fields: Fields) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in {EARLIER, PROBLEM}}


def _key(value: Any) -> bytes | None:
    """What an id is found by: 7, 7.0 and "7" are the same, as tables with missing ids turn numbers to floats."""
    if isinstance(value, float):
        if math.isnan(value):
            return None
        value = int(value) if value.is_integer() else value
    text = "" if value is None else str(value).strip()
    return digest(text) if text and text != "None" else None


def _chained(aside: Shelf, at: int, row: Row) -> Iterator[Row]:
    own, fields = _key(row.fields.get("id")), _without_marks(row.fields)
    ends = own is None or aside.first("parent = ?", own) is None
    if not ends and _same(fields):
        return
    try:
        before = _before(aside, at, row)
    except RowError as error:
        yield replace(row, fields={PROBLEM: str(error)})
        return
    systems = [told for found in (*before, fields) if not empty(told := pick(found, TOLD))]
    earlier = [[pick(found, PROMPT), pick(found, CHOSEN)] for found in before]
    yield replace(row, fields={**fields, "system": systems[0] if systems else None, EARLIER: earlier})


def _same(fields: Fields) -> bool:
    asked = pick(fields, REJECTED_PROMPT)
    other = not empty(asked) and asked != pick(fields, PROMPT)
    return bool(pick(fields, CHOSEN) == pick(fields, REJECTED)) and not other


def _before(aside: Shelf, at: int, row: Row) -> list[Fields]:
    """The rows a row goes on from, the first one first."""
    visited = {at}
    chain: list[Fields] = []
    while (parent := _key(row.fields.get("parent_id"))) is not None:
        named = row.fields["parent_id"]
        found = list(aside.find("own = ?", parent))
        if len(found) != 1:
            having = f"{len(found)} rows have" if found else "no row has"
            raise RowError(f"{having} the `id` that its `parent_id` names, {named}: expected one row")
        at, row = found[0]
        if at in visited:
            raise RowError(
                f"its chain of `parent_id` comes back to the row with `id` {named}: expected an end"
            )
        visited.add(at)
        chain.append(row.fields)
    return chain[::-1]


def read_chain(row: Fields) -> Preference:
    """Read a row, with the turns before it where `join_chains` found some."""
    earlier = row.get(EARLIER) or []
    told = problem(row, NEEDED, OPTIONAL) or HISTORY.problem(earlier)
    if told:
        raise RowError(told)
    before: list[Message] = []
    for question, answer in earlier:
        before += [user(question), assistant(answer)]
    before = with_system(row, before)
    asked = pick(row, PROMPT)
    otherwise = pick(row, REJECTED_PROMPT)
    chosen = [*before, user(asked), assistant(pick(row, CHOSEN))]
    rejected = [*before, user(asked if empty(otherwise) else otherwise), assistant(pick(row, REJECTED))]
    return divided({}, chosen, rejected)
