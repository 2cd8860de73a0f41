"""A foreign config as one tree of settings, which remembers what of it has been looked at."""

import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from dpo_tui.importing.findings import Origin, Remark
from dpo_tui.importing.module import Module
from dpo_tui.importing.values import Called, Data, Place, Symbol, Unread, Value, safe
from dpo_tui.text import t
from engine.config.checks import is_repo_id

Kind = TypeVar("Kind", bound="str | int | float | bool")

_MOST = 400
"""Settings looked at for what is left over; a hostile file could hold a hundred thousand, or share them endlessly."""


class Settings:
    """By dotted paths, like `optim_wrapper.optimizer.lr`; an entry of a list by its index."""

    def __init__(self, module: Module) -> None:
        self.names: Mapping[str, Value] = module.names
        self.remarks: list[Remark] = []
        """What could not be read of the settings that were asked for."""
        self.idle: list[str] = []
        """Settings that are not needed here."""
        self._used = module.used
        self._seen: set[str] = set()

    def find(self, path: str) -> Value | None:
        """What is there, None where there is nothing; counts as looked at."""
        self._seen.add(path)
        return self._at(path)

    def take(self, path: str, kind: type[Kind]) -> tuple[Kind, Origin] | None:
        """A plain value with its origin; None where it is absent, None, or of another kind, which is remarked.

        Where a float is wanted a whole number stays one.
        """
        value = self.find(path)
        if value is None or value.data is None:
            return None
        data: Any = value.data
        fits = type(data) is kind or (kind is float and type(data) is int)
        if fits:
            return data, origin(path, value)
        self.lose(path, value)
        return None

    def symbol(self, path: str) -> Symbol | None:
        """A class or function by its name; also one that is given as text."""
        value = self.find(path)
        if value is None or value.data is None:
            return None
        if isinstance(value.data, str):
            return Symbol(value.data)
        if isinstance(value.data, Symbol):
            return value.data
        self.lose(path, value)
        return None

    def lose(self, path: str, value: Value) -> None:
        """Remark, once, that a setting is not what it was expected to be."""
        if any(remark.about == path for remark in self.remarks):
            return
        self.see(path)
        self.remarks.append(Remark("lost", "unread", path, value.place, {"why": reason(value)}))

    def nearest(self, path: str) -> Value | None:
        """What is at `path`, or at the innermost setting around it that is there."""
        parts = path.split(".")
        around = (self._at(".".join(parts[:length])) for length in range(len(parts), 0, -1))
        return next((value for value in around if value is not None), None)

    def see(self, *paths: str) -> None:
        """Count settings, with all that is in them, as told by what others say."""
        self._seen.update(f"{path}.*" for path in paths)

    def pass_over(self, *paths: str) -> None:
        """Count settings, with all that is in them, as ones that nothing here corresponds to or needs to."""
        self.see(*paths)
        self.idle += [path for path in paths if (value := self._at(path)) is not None and value.data]

    def left_over(self) -> Iterator[tuple[str, Value]]:
        """Settings that nobody has looked at and that say something, at most a few hundred."""
        rest = [
            (name, value)
            for name, value in reversed([*self.names.items()])
            if name not in self._used and not isinstance(value.data, Symbol)
        ]
        for _ in range(_MOST):
            if not rest:
                return
            path, value = rest.pop()
            inner = self._parts(path, value)
            if inner is None:
                yield path, value
            else:
                rest += reversed(inner)

    def _parts(self, path: str, value: Value) -> list[tuple[str, Value]] | None:
        """The entries to look into; none where all is looked at or it says nothing, None where it is left over."""
        if f"{path}.*" in self._seen:
            return []
        if self._below(path) and isinstance(value.data, Mapping):
            return [(f"{path}.{key}", entry) for key, entry in value.data.items()]
        if self._below(path) and isinstance(value.data, tuple):
            return [(f"{path}.{index}", entry) for index, entry in enumerate(value.data)]
        if isinstance(value.data, Unread | Called):
            return None
        return [] if path in self._seen or not value.data else None

    def _at(self, path: str) -> Value | None:
        data: Data = self.names
        value: Value | None = None
        for part in path.split("."):
            value = _entry(data, part)
            if value is None:
                return None
            data = value.data
        return value

    def _below(self, path: str) -> bool:
        """Whether something below `path` was looked at by itself."""
        start = f"{path}."
        return any(seen.startswith(start) for seen in self._seen)


def origin(path: str, value: Value) -> Origin:
    """Where the value of a setting was written."""
    return Origin(value.name or path, value.place)


def source_of(name: str) -> str:
    """As transformers and datasets decide it: what is there, else a repo; what no repo can be called is a path."""
    try:
        there = os.path.exists(name)
    except ValueError:  # a null character
        there = True
    return "hub" if is_repo_id(name) and not there else "local"


def reason(value: Value) -> str:
    """Why a value is of no use, in the language spoken."""
    if isinstance(value.data, Unread):
        return why(value.data)
    if isinstance(value.data, Called):
        return t("import.why.call", what=safe(value.data.function))
    return t("import.why.type")


def why(unread: Unread) -> str:
    """Why something was not read, in the language spoken."""
    return t(f"import.why.{unread.why}", what=safe(unread.what))


def _entry(data: Data, part: str) -> Value | None:
    if isinstance(data, Mapping):
        return data.get(part)
    if isinstance(data, tuple) and part.isdigit() and int(part) < len(data):
        return data[int(part)]
    return None


def symbol_of(value: Value) -> str:
    """The class that a dict's `type` names, without its modules; empty where there is none."""
    kind = value.data.get("type") if isinstance(value.data, Mapping) else None
    data = None if kind is None else kind.data
    return Symbol(data).last if isinstance(data, str) else data.last if isinstance(data, Symbol) else ""


def place_of(value: Value | None) -> Place | None:
    """Where it was written."""
    return None if value is None else value.place
