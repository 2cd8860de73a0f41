"""What a column may hold: each shape tells what is wrong with a value, in words."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Problem: TypeAlias = Callable[[Any], str | None]


@dataclass(frozen=True, slots=True)
class Shape:
    """name: what is expected. problem: what a value is instead, None when it is that."""

    name: str
    problem: Problem


_KINDS = {type(None): "null", bool: "true or false", str: "text", list: "a list", dict: "an object"}


def kind(value: Any) -> str:
    """The type of a value in the words of JSON."""
    return _KINDS.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def empty(value: Any) -> bool:
    """Whether a column says nothing in this row, as columns of a table do that other rows need."""
    if isinstance(value, str):
        return not value or value.isspace()
    if value is None or isinstance(value, list | dict):
        return not value
    return isinstance(value, float) and math.isnan(value)  # what pandas writes for no text


def number(value: Any) -> float | None:
    """A finite number, also where a CSV file has it as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def label(value: Any) -> bool | None:
    """A yes or no, also as the numbers and words that tables have for it; None for anything else."""
    if isinstance(value, bool | int | float):
        return bool(value) if value in (0, 1) else None
    words = {"true": True, "1": True, "false": False, "0": False}
    return words.get(value.strip().lower()) if isinstance(value, str) else None


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else kind(value)


def _turn(value: Any) -> str | None:
    """One message, with role and content, or with from and value; null content where tools are called."""
    if not isinstance(value, dict):
        return kind(value)
    chat = "role" in value or "from" not in value
    role, content = ("role", "content") if chat else ("from", "value")
    if not isinstance(value.get(role), str):
        return f"an object whose `{role}` is {_found(value, role)}"
    silent = value.get(content) is None and bool(value.get("tool_calls"))
    if not silent and not isinstance(value.get(content), str | list):
        return f"an object whose `{content}` is {_found(value, content)}"
    return None


def _found(value: Mapping[str, Any], key: str) -> str:
    return kind(value[key]) if key in value else "missing"


def list_of(item: Problem) -> Problem:
    """The problem of a list, by that of its first wrong item."""

    def problem(value: Any) -> str | None:
        if not isinstance(value, list):
            return kind(value)
        for position, entry in enumerate(value, 1):
            found = item(entry)
            if found:
                return f"a list whose item {position} is {found}"
        return None

    return problem


def record(**members: Shape) -> Problem:
    """The problem of an object, by that of the first of its wrong members."""

    def problem(value: Any) -> str | None:
        if not isinstance(value, dict):
            return kind(value)
        for key, shape in members.items():
            found = shape.problem(value.get(key))
            if found:
                return f"an object whose `{key}` is {found if key in value else 'missing'}"
        return None

    return problem


def either(*shapes: Shape) -> Problem:
    """The problem of a value that may have any of several shapes: that of the shape for its type."""

    def problem(value: Any) -> str | None:
        own = told = kind(value)
        for shape in shapes:
            found = shape.problem(value)
            if found is None:
                return None
            if told == own:
                told = found
        return told

    return problem


def _exchange(value: Any) -> str | None:
    if isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return None
    return kind(value) if not isinstance(value, list) else "a list of something else than two texts"


def _at_least_two(several: Problem) -> Problem:
    def problem(value: Any) -> str | None:
        return several(value) or ("a list of fewer than two" if len(value) < 2 else None)

    return problem


TEXT = Shape("text", _text)
ID = Shape("text or a number", lambda value: None if isinstance(value, str | int | float) else kind(value))
NUMBER = Shape("a number", lambda value: None if number(value) is not None else kind(value))
LABEL = Shape("true or false", lambda value: None if label(value) is not None else kind(value))
TURN = Shape('{"role": text, "content": text}', _turn)
MESSAGES = Shape(f"a list of {TURN.name}", list_of(_turn))
PROMPT = Shape(f"text or {MESSAGES.name}", either(TEXT, MESSAGES))
CONVERSATION = Shape(f"{MESSAGES.name}, or one of them", either(TURN, MESSAGES))
REPLY = Shape(f"text, {TURN.name} or a list of these", either(TEXT, TURN, MESSAGES))
HISTORY = Shape("a list of [question, answer]", list_of(_exchange))
TWO_TEXTS = Shape("a list of two texts", _exchange)
TOOLS = Shape(
    "a list of tools, or its JSON text",
    either(TEXT, Shape("a list", list_of(either(TEXT, Shape("an object", record()))))),
)
OBJECT = Shape("an object, or its JSON text", either(TEXT, Shape("an object", record())))
TASK = Shape(
    '{"messages": a list of messages}, or that list', either(Shape("", record(messages=MESSAGES)), MESSAGES)
)
RANKED_ANSWERS = Shape(
    'a list of at least two {"answer": text, "rank": number}',
    _at_least_two(list_of(record(answer=TEXT, rank=NUMBER))),
)
RANKED_COMPLETIONS = Shape(
    'a list of at least two {"rank": number, "completion": messages}',
    _at_least_two(list_of(record(rank=NUMBER, completion=REPLY))),
)
ANYTHING = Shape("anything", lambda _value: None)
