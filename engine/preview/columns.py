"""The columns of a source as its first rows have them, and which of them may be what: for a person to map."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from engine.config.schema import Source
from engine.data.files.sources import open_source
from engine.data.formats.detect import DETECTION_ROWS, detect
from engine.data.formats.format import Fields
from engine.data.formats.guess import suggestion
from engine.data.formats.table import FORMATS
from engine.data.rows.shapes import MESSAGES, empty
from engine.data.watch import Watch
from engine.exits import UnusableError

EXAMPLE = 200
"""Characters shown of a value."""

NO_TEXT = ("number", "boolean")
"""Kinds that no part of a pair is of, whatever its column is called."""

KINDS = {str: "text", bool: "boolean", int: "number", float: "number", list: "list", dict: "object"}


def columns_of(source: Source, watch: Watch) -> dict[str, Any]:
    """Name, kind and an example of each column, the likely ones of a pair, and all formats that can be trained.

    kind: text, number, boolean, messages, list, object, empty or other. Nothing of a hub dataset is downloaded
    but its first rows, and of ModelScope's the file with them. Raises what opening a source raises,
    `UnusableError` where it has no rows, `StopRequested`.
    """
    first = _first_rows(source, watch)
    columns = [_column(name, first) for name in dict.fromkeys(name for fields in first for name in fields)]
    return {
        "columns": columns,
        "suggested": suggestion([column["name"] for column in columns if column["kind"] not in NO_TEXT]),
        "detected": _detected(first, source.path),
        "formats": [entry.name for entry in FORMATS if not entry.refusal],
    }


def _first_rows(source: Source, watch: Watch) -> list[Fields]:
    streaming = source.streaming or source.source == "hub"
    bounded = source.model_copy(update={"limit": DETECTION_ROWS, "streaming": streaming})
    rows: list[Fields] = []
    for row in open_source(bounded).rows:
        watch.poll()
        rows.append(row.fields)
    if not rows:
        text = f"{source.path}: holds no rows. Check the path and the split."
        raise UnusableError("data.no_rows", text, path=source.path)
    return rows


def _column(name: str, rows: Iterable[Fields]) -> dict[str, str]:
    """Told from the first row in which it is filled."""
    value = next((fields[name] for fields in rows if not empty(fields.get(name))), None)
    return {"name": name, "kind": _kind(value), "example": _example(value)}


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, list) and MESSAGES.problem(value) is None:
        return "messages"
    return KINDS.get(type(value), "other")


def _example(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= EXAMPLE else f"{text[: EXAMPLE - 1]}…"


def _detected(rows: Sequence[Fields], place: str) -> str | None:
    try:
        return detect(rows, place).name
    except UnusableError:
        return None
