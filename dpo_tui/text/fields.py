"""Every key of the config, explained: its name for people, one line of help, and a guide.

Nothing is said twice: the English help is the schema's description, the English guide the comment above the key in
the template `full`, types and limits are the schema's own. The catalogues hold the labels, and the Chinese.
A path names a key with list indices left out: `data.sources.path`.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from dpo_tui.text import has, language, t
from engine.config.explain import field_at, holds_lists, members, section_in
from engine.config.problems import shown
from engine.config.schema import RUN_NAME, Config
from engine.config.section import Section
from engine.shipped import template_dir

_HEADER = re.compile(r"(?:# )?\[+([a-z_.]+)\]+$")
_KEY = re.compile(r"(?:# )?([a-z_]+) = ")


def field_paths() -> Iterator[str]:
    """The path of every key that holds a value, in the schema's order; tables are not among them."""
    yield from _leaves(Config, "")


def field_label(path: str) -> str:
    """The key's name for people; a path the schema does not have is its own."""
    key = f"label.{path}"
    return t(key) if has(key) else path


def field_help(path: str) -> str:
    """What the key is, in one line."""
    key = f"field.{path}"
    if language() != "en" and has(key):
        return t(key)
    return _description(path)


def field_guide(path: str) -> str:
    """All there is to say about the key, as Markdown: its help, what to set it to, type, limits and default."""
    key = f"guide.{path}"
    told = t(key) if language() != "en" and has(key) else comments().get(path, "")
    return "\n\n".join(
        part for part in (f"### {field_label(path)}", field_help(path), told, _facts(path)) if part
    )


def field_choices(path: str) -> tuple[str, ...]:
    """The words the key allows; empty for one that allows others."""
    field = _field(path)
    return tuple(_choices(field)) if field else ()


@cache
def comments() -> dict[str, str]:
    """The comment above each key and table of the template `full`, as one paragraph."""
    found: dict[str, str] = {}
    table, lines = "", list[str]()
    for line in (template_dir() / "full.toml").read_text(encoding="utf-8").splitlines():
        if header := _HEADER.match(line):
            table = header[1]
            _note(found, table, lines)
        elif key := _KEY.match(line):
            _note(found, f"{table}.{key[1]}", lines)
        elif line.startswith("# "):
            lines.append(line.removeprefix("# "))
        else:
            lines.clear()
    return found


def _note(found: dict[str, str], path: str, lines: list[str]) -> None:
    if lines:
        found.setdefault(path, " ".join(lines))
    lines.clear()


def _leaves(section: type[Section], above: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        inner = section_in(field.annotation)
        if inner is None:
            yield f"{above}{name}"
        else:
            yield from _leaves(inner, f"{above}{name}.")


def _field(path: str) -> FieldInfo | None:
    return field_at(tuple(path.split(".")))


def _description(path: str) -> str:
    """The schema's description; of a table without one, what its class says."""
    field = _field(path)
    if field is None:
        return ""
    table = section_in(field.annotation)
    return field.description or (table.__doc__ or "" if table else "")


def _facts(path: str) -> str:
    """Key, type, limits and default, one a line."""
    field = _field(path)
    if field is None:
        return ""
    lines = [t("fields.key", key=path)]
    if section_in(field.annotation) is None:
        lines += [t("fields.type", type=_type(field))]
        lines += [t("fields.range", range=limits) for limits in [_limits(field)] if limits]
        lines += [t("fields.default", default=_default(field))]
    return "\n".join(f"- {line}" for line in lines)


def _type(field: FieldInfo) -> str:
    if choices := list(_choices(field)):
        quoted = t("fields.comma").join(f"`{choice}`" for choice in choices)
        others = [_kind(member) for member in members(field.annotation) if get_origin(member) is not Literal]
        return t("fields.or").join([*others, quoted])
    return t("fields.or").join(_kind(member) for member in members(field.annotation))


def _kind(member: Any) -> str:
    origin = get_origin(member)
    if origin is dict and holds_lists(member):
        return t("fields.kind.dict_of_lists")
    return t(f"fields.kind.{origin.__name__ if origin in (list, dict) else member.__name__}")


def _choices(field: FieldInfo) -> Iterator[str]:
    for member in members(field.annotation):
        if get_origin(member) is Literal:
            yield from map(str, get_args(member))


def _limits(field: FieldInfo) -> str:
    """The limits in words, joined: "at least 8, at most 1,024"."""
    found = []
    for limit in _constraints(field):
        for name in ("gt", "ge", "lt", "le"):
            value = getattr(limit, name, None)
            if value is not None:
                found.append(t(f"fields.limit.{name}", limit=f"{value:,}"))
        if getattr(limit, "pattern", None) == RUN_NAME:
            found.append(t("fields.limit.run_name"))
    return t("fields.comma").join(found)


def _constraints(field: FieldInfo) -> Iterator[Any]:
    """Those of the value, and of the members of a union that have some of their own."""
    yield from field.metadata
    for member in get_args(field.annotation):
        for inner in getattr(member, "__metadata__", ()):
            yield from inner.metadata if isinstance(inner, FieldInfo) else [inner]


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return t("fields.required")
    return t("fields.absent") if field.default is None else f"`{shown(field.default)}`"
