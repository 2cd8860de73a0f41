"""All layouts in one table: a further one is one more entry in the file of its family."""

import difflib
from collections.abc import Sequence
from dataclasses import replace

from engine.data.formats import frameworks, questions, ranked, trl, unpaired, vision
from engine.data.formats.format import Format
from engine.exits import UsageError

_ENTRIES = (
    *trl.FORMATS,
    *questions.FORMATS,
    *frameworks.FORMATS,
    *ranked.FORMATS,
    *unpaired.FORMATS,
    *vision.FORMATS,
)
_KNOWN = frozenset[str]().union(*(entry.meant for entry in _ENTRIES))

FORMATS: tuple[Format, ...] = tuple(replace(entry, known=_KNOWN) for entry in _ENTRIES)


def format_named(name: str, formats: Sequence[Format] = FORMATS) -> Format:
    """The format of that name or alias. Raises `UsageError` with the nearest name."""
    for entry in formats:
        if name in entry.names:
            return entry
    near = difflib.get_close_matches(name, [one for entry in formats for one in entry.names], 1)
    known = ", ".join(entry.name for entry in formats)
    hint = f'Did you mean "{near[0]}"?' if near else f"Known: auto, {known}."
    case = {"case": "near"} if near else {}
    text = f'There is no data format "{name}". {hint}'
    raise UsageError("data.unknown_format", text, name=name, near=near, known=known, **case)
