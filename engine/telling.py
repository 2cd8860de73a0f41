"""What a command tells a person, on stderr: in English, or as JSON lines to a caller that has it in other languages.

A line is `{"told": kind, "code": .., "text": .., "params": {..}}`: code and params are what catalogues translate, text
the English. Kinds: `error`, the last word; `note`; `proof` and `reused` of an export; `rows`, how far data is read.
"""

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

from engine.sanitize import brief, visible

Kind = Literal["error", "note", "proof", "reused", "rows"]

_in_lines = False


def tell_in_lines() -> None:
    """From now on tell a program."""
    global _in_lines
    _in_lines = True


def tells_in_lines() -> bool:
    """Whether a program is told."""
    return _in_lines


def tell(kind: Kind, text: str, code: str = "", params: Mapping[str, Any] | None = None) -> None:
    """One line on stderr. That may be a log on a full disk; the exit code still tells."""
    if _in_lines:
        line = json.dumps({"told": kind, "code": code, "text": text, "params": params or {}}, default=str)
    else:
        line = brief(visible(f"note: {text}" if kind == "note" else text))
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)
