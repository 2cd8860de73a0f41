"""Dicts and lists that several names hold: a change by way of one is a change of all, as in Python."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dpo_tui.importing.values import Data, Value

_DEEPEST = 100
MOST_STEPS = 1 << 22
"""Entries looked at for one file: a hostile one could hold ten thousand, and change them as often."""


class Sharing:
    """What stands in the place of what; how much may still be looked at."""

    def __init__(self) -> None:
        self._left = MOST_STEPS

    def swapped(self, names: Mapping[str, Value], old: Data, new: Data) -> dict[str, Value] | None:
        """The names whose values change where `old` becomes `new`; None where there is too much to look at.

        Nothing is changed in place, so no value can come to hold itself.
        """
        self._left -= len(names)
        if self._left < 0:
            return None
        known = {id(old): new}  # all that is old lives on in `names`, so no number comes twice
        found = {name: self._swap(value, known, 0) for name, value in names.items()}
        if self._left < 0:
            return None
        return {name: value for name, value in found.items() if value is not names[name]}

    def _swap(self, value: Value, known: dict[int, Data], depth: int) -> Value:
        data = value.data
        if not isinstance(data, tuple | Mapping) or depth > _DEEPEST or self._left < 0:
            return value
        if id(data) not in known:
            self._left -= len(data) + 1
            known[id(data)] = self._inside(data, known, depth)
        return value if known[id(data)] is data else replace(value, data=known[id(data)])

    def _inside(self, data: Data, known: dict[int, Data], depth: int) -> Data:
        if isinstance(data, tuple):
            entries = tuple(self._swap(entry, known, depth + 1) for entry in data)
            return data if all(map(_same, entries, data)) else entries
        assert isinstance(data, Mapping)
        named = {key: self._swap(entry, known, depth + 1) for key, entry in data.items()}
        return data if all(map(_same, named.values(), data.values())) else named


def _same(one: Value, other: Value) -> bool:
    return one is other


def containers(values: Iterable[Value]) -> set[int]:
    """The dicts and lists in values, by their numbers."""
    found: set[int] = set()
    left = [value.data for value in values]
    while left:
        data = left.pop()
        if isinstance(data, tuple | Mapping) and id(data) not in found:
            found.add(id(data))
            left += [entry.data for entry in (data if isinstance(data, tuple) else data.values())]
    return found
