"""Where two conversations or texts that should begin alike part, in a few words."""

from collections.abc import Sequence
from itertools import zip_longest

from engine.data.rows.messages import Message

SHOWN = 12
"""Characters of each side that are shown."""


def first_difference(chosen: Sequence[Message], rejected: Sequence[Message]) -> str:
    """The number of the first message that is not the same in two conversations, and how it begins to differ."""
    for number, (one, other) in enumerate(zip_longest(chosen, rejected), 1):
        if one is None or other is None:
            return f"message {number} is in {'rejected' if one is None else 'chosen'} alone"
        if one["role"] != other["role"]:
            return f"message {number}: {one['role']} / {other['role']}"
        if one["content"] != other["content"]:
            return f"message {number}: {differing(one['content'], other['content'])}"
        if one != other:
            return f"message {number}: what it holds besides its text"
    return ""


def differing(chosen: str, rejected: str) -> str:
    """Two texts from the word on in which they differ."""
    at = next(
        (index for index, (one, other) in enumerate(zip(chosen, rejected, strict=False)) if one != other),
        min(len(chosen), len(rejected)),
    )
    start = max(chosen.rfind(" ", 0, at), chosen.rfind("\n", 0, at)) + 1
    start = start if at - start < SHOWN else at
    return " / ".join(_shown(text, start) for text in (chosen, rejected))


def _shown(text: str, start: int) -> str:
    end = start + SHOWN
    return f'"{"…" if start else ""}{text[start:end]}{"…" if len(text) > end else ""}"'
