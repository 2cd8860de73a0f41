"""What kind of value each key of the schema takes: how it is typed, shown, and laid out in sections."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined

from engine.config.explain import field_at, members, section_in
from engine.config.problems import KeyPath
from engine.config.schema import Config
from engine.config.section import Section
from engine.config.toml import parse_value

Name = Literal["choice", "switch", "whole", "number", "text", "list", "table"]

_LONGEST_NUMBER = 40
"""Characters; Python and TOML parsers refuse numbers of thousands of digits."""

_EXPONENT = re.compile(r"e([+-])0")


@dataclass(frozen=True, slots=True)
class Kind:
    """How a key is entered: `choices` are the words it takes; an `optional` one may be left out for good."""

    name: Name
    choices: tuple[str, ...] = ()
    optional: bool = False
    required: bool = False


def path_of(key: str) -> KeyPath:
    """`data.sources.0.path` as the path it is."""
    return tuple(int(part) if part.isascii() and part.isdigit() else part for part in key.split("."))


def dotted_key(path: KeyPath) -> str:
    """The path as the app's keys are written: entries of lists are parts like all others."""
    return ".".join(map(str, path))


def schema_path(key: str) -> str:
    """The key without the places in lists, by which the catalogues name it: `data.sources.path`."""
    return ".".join(part for part in key.split(".") if not (part.isascii() and part.isdigit()))


def default_of(key: str) -> Any:
    """The schema's default; None where there is none, or where leaving the key out is the default."""
    field = field_at(path_of(key))
    default = field.get_default(call_default_factory=True) if field else None
    return None if default is PydanticUndefined else default


def kind_of(key: str) -> Kind:
    """The kind of the schema's field at `key`; text where the schema has no such key."""
    field = field_at(path_of(key))
    if field is None:
        return Kind("text")
    types = members(field.annotation)
    choices = tuple(str(word) for one in types if get_origin(one) is Literal for word in get_args(one))
    return Kind(_name(types), choices, _takes_none(field.annotation), field.is_required())


def typed(key: str, text: str) -> Any:
    """What a person means who types `text` into the field of `key`; None for nothing.

    What cannot be meant stays as it is: the schema's own fault says what was expected.
    """
    text = text.strip()
    if not text:
        return None
    kind = kind_of(key)
    match kind.name:
        case "switch":
            return {"true": True, "false": False}.get(text.lower(), text)
        case "whole" | "number":
            return _number(text)
        case "list":
            return _list(text, kind.choices)
        case "table":
            return parse_value(text if text.startswith("{") else f"{{ {text} }}")
    return text


def shown(value: Any) -> str:
    """A value as it stands in a field: what `typed` takes back."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            short = f"{value:g}"
            return _EXPONENT.sub(r"e\1", short if float(short) == value else repr(value))
        case list():
            return ", ".join(map(shown, value))
        case dict():
            return ", ".join(f"{_bare(name)} = {_written(item)}" for name, item in value.items())
    return str(value)


def leaf_keys() -> dict[str, list[str]]:
    """Every key of the schema by its table, in the schema's order; those of lists of tables are not among them."""
    tables: dict[str, list[str]] = {}
    for path in _leaves(Config, ()):
        tables.setdefault(".".join(path[:-1]), []).append(".".join(path))
    return tables


def _leaves(section: type[Section], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, field in section.model_fields.items():
        inner = section_in(field.annotation)
        if inner is None:
            yield (*path, name)
        elif not any(get_origin(member) is list for member in members(field.annotation)):
            yield from _leaves(inner, (*path, name))


def _name(types: list[Any]) -> Name:
    origins = {get_origin(one) for one in types}
    if list in origins:
        return "list"
    if dict in origins:
        return "table"
    if origins == {Literal}:
        return "choice"
    for one, name in ((bool, "switch"), (float, "number"), (int, "whole")):
        if one in types:
            return name  # type: ignore[return-value] # mypy widens the names to str
    return "text"


def _takes_none(annotation: Any) -> bool:
    return NoneType in get_args(annotation)


def _number(text: str) -> Any:
    """A whole number as one, so that it is written as it was typed; else any number, or the text."""
    if len(text) > _LONGEST_NUMBER:
        return text
    for type_, written in ((int, text.replace(",", "")), (float, text)):
        with suppress(ValueError):
            return type_(written)
    return parse_value(text)


def _list(text: str, words: tuple[str, ...]) -> Any:
    if text in words:
        return text
    if text.startswith("["):
        return parse_value(text)
    return [part for part in (part.strip() for part in text.split(",")) if part]


def _bare(name: str) -> str:
    return name if name.isascii() and name.replace("-", "_").isidentifier() else _quoted(name)


def _written(value: Any) -> str:
    """A value inside a table, as TOML has it."""
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return _quoted(value) if isinstance(value, str) else shown(value)


def _quoted(text: Any) -> str:
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
