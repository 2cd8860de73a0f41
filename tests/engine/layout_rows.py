"""Rows and messages of the tests of layouts, and reading one row by the name of its layout."""

from typing import Any

from engine.data.formats import samples as of
from engine.data.formats.table import format_named

ASKED = {"role": "user", "content": of.QUESTION}
GOOD = {"role": "assistant", "content": of.GOOD}
BAD = {"role": "assistant", "content": of.BAD}


def read(layout: str, /, **fields: Any) -> Any:
    """The preference in a row of these columns."""
    return format_named(layout).preference(fields)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def system(text: str) -> dict[str, str]:
    return {"role": "system", "content": text}
