"""What a column may hold: each shape tells what is wrong with a value, in words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """name: what is expected. problem: what a value is instead, None when it is that."""

    name: str
    problem: Callable[[Any], str | None]


def kind(value: Any) -> str:
    """The type of a value in the words of JSON."""
    names = {type(None): "null", bool: "true or false", str: "text", list: "a list", dict: "an object"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else kind(value)


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _turn(role_key: str, content_key: str) -> Callable[[Any], str | None]:
    def problem(value: Any) -> str | None:
        if not isinstance(value, dict):
            return kind(value)
        for key in (role_key, content_key):
            if not isinstance(value.get(key), str):
                found = kind(value[key]) if key in value else "missing"
                return f"an object whose `{key}` is {found}"
        return None

    return problem


def _list_of(item: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    def problem(value: Any) -> str | None:
        if not isinstance(value, list):
            return kind(value)
        for number, entry in enumerate(value, 1):
            found = item(entry)
            if found:
                return f"a list whose item {number} is {found}"
        return None

    return problem


TEXT = Shape("text", _text)
OPTIONAL_TEXT = Shape("text or null", _optional_text)
TURN = Shape('{"from": text, "value": text}', _turn("from", "value"))
TURNS = Shape('a list of {"from": text, "value": text}', _list_of(_turn("from", "value")))
MESSAGES = Shape('a list of {"role": text, "content": text}', _list_of(_turn("role", "content")))
