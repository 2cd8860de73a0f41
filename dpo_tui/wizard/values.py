"""The values of a config as plain dicts and lists: what is where, and what a key needs around it."""

from collections.abc import Iterator
from typing import Any

from dpo_tui.wizard.kinds import path_of
from engine.config.problems import KeyPath


def value_at(values: Any, key: str) -> Any:
    """The value under a key; None where there is none."""
    for part in path_of(key):
        fits = isinstance(values, list) if isinstance(part, int) else isinstance(values, dict)
        try:
            values = values[part] if fits else None
        except LookupError:
            return None
    return values


def in_the_way(values: Any, parts: list[str]) -> Iterator[tuple[str, Any]]:
    """What has to be set before a key can be: a table or a list where there is none, one more entry of a list."""
    for depth, part in enumerate(path_of(".".join(parts))[1:], start=1):
        above = ".".join(parts[:depth])
        there = value_at(values, above)
        if isinstance(part, int):
            if not isinstance(there, list):
                yield above, [{}]
            elif part == len(there):
                yield above, [*there, {}]
        elif there is not None and not isinstance(there, dict):
            yield above, {}


def same(a: Any, b: Any) -> bool:
    """Equal, and not a number that equals a truth value."""
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def within(key: KeyPath, outer: KeyPath) -> bool:
    """Whether one path leads to, or into, what is at another."""
    return key[: len(outer)] == outer


def leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Every value that is no table and no list of tables, by its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value
