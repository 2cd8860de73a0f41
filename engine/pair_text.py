"""A pair as a person reads it on a terminal, each part behind a mark that says whether it is learned."""

import shutil
import textwrap
from collections.abc import Mapping

from engine.sanitize import visible

SHOWN = 480
"""Characters shown of each end of a text that is too long to show whole."""

_MARGIN = "         │ "
_MARKS = (("prompt", "│"), ("chosen", "▸"), ("rejected", "▸"))


def pair_text(shown: Mapping[str, str]) -> str:
    """The prompt and both completions, as wide as the terminal, free of control characters."""
    return "\n".join(f"{name:>8} {mark} {_indented(shown[name])}" for name, mark in _MARKS)


def _indented(text: str) -> str:
    if len(text) > 2 * SHOWN:
        text = f"{text[:SHOWN]} [...] {text[-SHOWN:]}"
    width = shutil.get_terminal_size((100, 24)).columns - len(_MARGIN)
    wrapper = textwrap.TextWrapper(width, drop_whitespace=False, replace_whitespace=False, expand_tabs=False)
    lines = visible(text).removesuffix("\n").split("\n")
    return f"\n{_MARGIN}".join(part for line in lines for part in wrapper.wrap(line) or [""])
