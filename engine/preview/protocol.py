"""Requests and answers of a preview: one JSON object a line. Free of torch, so that the app may share it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.exits import EngineError, Exit, UsageError
from engine.rundir.files import plain

Id: TypeAlias = int | str
Line: TypeAlias = dict[str, Any]

ASKS = ("model", "data", "pair", "columns", "cancel")
MAX_LINE = 1 << 20
"""Bytes of a request: a config with all of its keys has a few thousand."""

READY: Line = {"ready": True}


@dataclass(slots=True, eq=False)
class Request:
    """One question: `fields` are its further keys."""

    id: Id
    ask: str
    fields: Mapping[str, Any]
    cancelled: bool = False
    """Set from another thread; whoever works on it looks now and then."""


class BadRequest(UsageError):
    """A line that is no request; `id` is its id where one can be told."""

    def __init__(self, text: str, id: Id | None = None) -> None:  # noqa: A002  (the protocol's own key)
        super().__init__("preview.bad_request", text)
        self.id = id


def read_request(line: bytes) -> Request:
    """The request in a line. Raises `BadRequest`."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRequest("expected one JSON object on a line") from error
    if not isinstance(value, dict):
        raise BadRequest("expected one JSON object on a line")
    number = value.get("id")
    if isinstance(number, bool) or not isinstance(number, int | str):
        raise BadRequest("expected `id`, a number or text")
    ask = value.get("ask")
    if ask not in ASKS:
        raise BadRequest(f"expected `ask`, one of {', '.join(ASKS)}", number)
    return Request(number, ask, {key: part for key, part in value.items() if key not in ("id", "ask")})


def answered(request: Request, answer: Mapping[str, Any]) -> Line:
    """The last line of a request that went well."""
    return {"id": request.id, "answer": answer}


def cancelled(request: Request) -> Line:
    """The last line of a request that nobody waits for any more."""
    return {"id": request.id, "cancelled": True}


def progressed(request: Request, done: int, total: int | None) -> Line:
    """A line in between; `total` is None while it is not known."""
    return {"id": request.id, "progress": {"done": done, "total": total}}


def failed(number: Id | None, error: BaseException) -> Line:
    """The last line of a request that cannot be answered; id null for a line that had none."""
    if isinstance(error, EngineError):
        told: Line = {"exit": int(error.exit), "code": error.code, "text": error.text, "params": error.params}
    else:
        text = f"{type(error).__name__}: {error}"
        params = {"kind": type(error).__name__, "problem": str(error)}
        told = {"exit": int(Exit.TRAINING_FAILED), "code": "preview.failed", "text": text, "params": params}
    return {"id": number, "error": told}


def encoded(line: Line) -> bytes:
    """The line as it is written: ASCII, no number that JSON has no word for."""
    return json.dumps(plain(line), allow_nan=False, default=str).encode() + b"\n"
