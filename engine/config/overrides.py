"""`--set key=value`: a dotted key and a TOML value, or plain text where the value is none."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.config.explain import accepts_text, field_at
from engine.config.locate import DEEPEST
from engine.config.problems import KeyPath, Problem
from engine.config.strings import masked
from engine.config.toml import TomlDocument, parse_value

_KEY = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_SURROGATE = re.compile("[\ud800-\udfff]")  # what an argument that is not UTF-8 is read as


@dataclass(frozen=True, slots=True)
class Override:
    """One `--set`, as its key path and as messages name it."""

    key: KeyPath
    label: str


def apply_overrides(document: TomlDocument, overrides: Sequence[str]) -> tuple[list[Override], list[Problem]]:
    """Edit `document`; what cannot be applied comes back as problems, the rest is checked with the whole."""
    applied: list[Override] = []
    problems: list[Problem] = []
    for text in overrides:
        label = _label(text)
        try:
            applied.append(Override(_apply(document, text), label))
        except KeyError as error:
            problems.append(Problem(label, None, "", *error.args))
    return applied, problems


def label_for(key: KeyPath, document: TomlDocument, overrides: Sequence[Override]) -> str | None:
    """The override that a fault at `key` comes from: the last that set it, or a table around it."""
    for override in reversed(overrides):
        set_here = key[: len(override.key)] == override.key
        made_on_the_way = override.key[: len(key)] == key and not document.has_line(key)
        if set_here or made_on_the_way:
            return override.label
    return None


def _apply(document: TomlDocument, text: str) -> KeyPath:
    """Raises KeyError with a sentence, its code and its params."""
    name, equals, written = (part.strip() for part in text.partition("="))
    if not equals or not _KEY.fullmatch(name) or name.count(".") >= DEEPEST:
        raise KeyError("expected KEY=VALUE, as in --set train.max_steps=100", "set.syntax", {})
    if _SURROGATE.search(written):
        raise KeyError("the value is not UTF-8 text", "set.not_utf8", {})
    key = tuple(int(part) if part.isdigit() else part for part in name.split("."))
    document.set(name, _value(key, written))
    return key


def _label(text: str) -> str:
    shown = masked(text)
    return f"--set {shown if shown.isprintable() else repr(shown)}"


def _value(key: KeyPath, written: str) -> Any:
    """A revision may be all digits and a name a date: where the schema wants text, text is what was meant."""
    value = parse_value(written)
    field = field_at(key)
    return written if field is not None and accepts_text(field) and not isinstance(value, str) else value
