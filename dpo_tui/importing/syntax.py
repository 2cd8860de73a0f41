"""A foreign config's text as a tree of syntax: nothing of it runs, and whatever is in the file, the answer is one."""

import ast
import warnings
from pathlib import Path

from dpo_tui.importing.values import safe
from dpo_tui.text import t
from engine.exits import UsageError
from engine.sanitize import one_line

LARGEST_FILE = 1 << 18
"""Most bytes of a file: 256 KiB. A config has ten thousand."""


def read_tree(path: Path) -> ast.Module:
    """Raises UsageError for a file that is missing, unreadable, too large, not UTF-8 or not Python."""
    shown = one_line(str(path))
    text = _text(path, shown)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a backslash that is no escape
            return ast.parse(text)
    except SyntaxError as error:
        line, detail = error.lineno or 1, safe(str(error.msg))
        raise UsageError(
            "import.not_python",
            f"{shown}:{line}: not Python, as XTuner's configs are: {detail}",
            path=shown,
            line=line,
            detail=detail,
        ) from None
    except (ValueError, MemoryError, RecursionError) as error:
        detail = t("import.why.long") if isinstance(error, MemoryError | RecursionError) else safe(str(error))
        raise UsageError(
            "import.unparsable", f"{shown}: cannot be read as Python: {detail}", path=shown, detail=detail
        ) from None


def _text(path: Path, shown: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        detail = str(getattr(error, "strerror", None) or error)
        raise UsageError(
            "import.unreadable", f"{shown}: cannot be read: {detail}", path=shown, detail=detail
        ) from None
    if len(data) > LARGEST_FILE:
        text = f"{shown}: larger than {LARGEST_FILE >> 10} KiB, which no config is"
        raise UsageError("import.too_large", text, path=shown, most=LARGEST_FILE >> 10)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        text = f"{shown}:{line}: not UTF-8; save the file as UTF-8"
        raise UsageError("import.not_utf8", text, path=shown, line=line) from None
