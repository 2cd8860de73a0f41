"""What a layout of preference rows is, and when a row is in it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from engine.data.files.sources import Row
from engine.data.rows.messages import Preference, RowError
from engine.data.rows.shapes import TEXT, Shape, empty

Fields: TypeAlias = Mapping[str, Any]
NONE: Mapping[str, Shape] = MappingProxyType({})
Join: TypeAlias = Callable[[Iterable[Row], Path], Iterator[Row]]

_CODED = re.compile(r"""\s*\[\s*\{\s*["'](role|content|from|value)["']\s*:""")

PROBLEM = "(problem)"
"""Where a join leaves what is wrong with a row that it could not bring together with others."""


def column_of(key: str, fields: Fields) -> str:
    """The column of a row that a key of a layout means: of "a|b" the first that is filled, else that is there."""
    if "|" not in key:
        return key
    names = _names(key)
    for name in names:
        if not empty(fields.get(name)):
            return name
    return next((name for name in names if name in fields), names[0])


@cache
def _names(key: str) -> tuple[str, ...]:
    return tuple(key.split("|"))


def pick(fields: Fields, key: str) -> Any:
    """The value of the column that a key of a layout means, None where there is none."""
    return fields.get(column_of(key, fields))


def problem(fields: Fields, needed: Mapping[str, Shape], optional: Mapping[str, Shape] = NONE) -> str | None:
    """What is wrong with the first wrong column of a row; None when all are as they should be.

    A column that is only optional has to have its shape where it is filled.
    """
    for key, shape in needed.items():
        name = column_of(key, fields)
        found = shape.problem(fields.get(name))
        if found:
            return _told(key, name, found if name in fields else None, shape)
    for key, shape in optional.items():
        name = column_of(key, fields)
        value = fields.get(name)
        found = None if empty(value) else shape.problem(value)
        if found:
            return _told(key, name, found, shape)
    return None


def _told(key: str, name: str, found: str | None, shape: Shape) -> str:
    named = f"`{name}`" if found else " or ".join(f"`{one}`" for one in key.split("|"))
    return f"{named} is {found or 'missing'}: expected {shape.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One layout of a row.

    A key of `columns` and `optional` is the name of a column, or several that mean the same: "question|input".
    """

    name: str
    purpose: str
    seen_in: str
    """Data sets and tools whose rows are like this."""
    columns: Mapping[str, Shape]
    """What a row must hold."""
    read: Callable[[Fields], Preference]
    sample: Fields
    """A row of it, for the documentation and the tests."""
    optional: Mapping[str, Shape] = field(default_factory=lambda: NONE)
    """What it may hold besides: read where it is filled."""
    marks: Mapping[str, Shape] = field(default_factory=lambda: NONE)
    """What it must hold, and other layouts may pass over: a label, a rank; no part of a conversation."""
    repeats: frozenset[str] = frozenset()
    """Columns that only say again what `columns` say."""
    useless: frozenset[str] = frozenset()
    """Columns that rows of it may have for a training of another kind: left unread, and told."""
    looks: Callable[[Fields], bool] | None = None
    """Tells layouts apart that have the same columns; asked only of rows whose columns fit."""
    aliases: tuple[str, ...] = ()
    """Further names, of tools and data sets whose rows are just the same."""
    join: Join | None = None
    """Brings rows together that make a pair only jointly: takes all rows of a source and a scratch folder,
    and yields rows that `preference` reads."""
    refusal: str | None = None
    """Why rows like this cannot be trained on, and what to do."""
    known: frozenset[str] = frozenset()
    """Every column that some layout of the table reads as part of a conversation: the table fills this in."""
    doubtful: frozenset[str] = field(init=False)
    """Those of them that this layout may leave unread."""

    def __post_init__(self) -> None:
        read = {key for key in (*self.columns, *self.optional) if "|" not in key}
        object.__setattr__(self, "doubtful", self.known - read - self.repeats)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    @property
    def meant(self) -> frozenset[str]:
        """The columns this layout gives a meaning to that no other layout may pass over."""
        keys = "|".join((*self.columns, *self.optional))
        return frozenset(keys.split("|")) | self.repeats

    def _shape_problem(self, fields: Fields) -> str | None:
        return problem(fields, self.columns) or problem(fields, self.marks, self.optional)

    def unread(self, fields: Fields) -> list[str]:
        """Filled columns that hold a part of the conversation by another layout, and that this one ignores."""
        doubtful = self.doubtful
        filled = [name for name in fields if name in doubtful and not empty(fields[name])]
        if not filled or self.refusal:
            return []
        read = {column_of(key, fields) for key in (*self.columns, *self.optional)}
        return [name for name in filled if name not in read]

    def of_no_use(self, rows: Iterable[Fields]) -> list[str]:
        """The columns that are for a training of another kind and filled in any of the rows."""
        found = {name for fields in rows for name in self.useless if not empty(fields.get(name))}
        return sorted(found)

    def row_problem(self, fields: Fields) -> str | None:
        """What keeps one row, as it was read, from being in this layout; None when nothing does."""
        found = self._shape_problem(fields)
        if found:
            return f"{found} (format {self.name})"
        unread = self.unread(fields)
        if not unread:
            return None
        return (
            f"`{unread[0]}` is filled, and format {self.name} does not read it: expected it empty, or a format "
            f"that reads it, or `columns` of this source naming all that is to be read"
        )

    def matches(self, fields: Fields) -> bool:
        """Whether a row looks like this layout: it has what it needs, and nothing that would be ignored."""
        return (
            not any(empty(pick(fields, key)) for key in (*self.columns, *self.marks))
            and self._shape_problem(fields) is None
            and not self.unread(fields)
            and self.coded(fields) is None
            and (self.looks is None or self.looks(fields))
        )

    def coded(self, fields: Fields) -> str | None:
        """A column of text that holds chat messages written out, which are not meant to be trained as text."""
        texts = (column_of(key, fields) for key, shape in self.columns.items() if shape is TEXT)
        return next((name for name in texts if _CODED.match(str(fields.get(name)))), None)

    def preference(self, fields: Fields) -> Preference:
        """Read a row; where the layout has a join, a row that comes from it.

        Raises `RowError` saying which column is wrong and what was expected, `NoPair` for a row without a pair.
        """
        told = fields.get(PROBLEM) if self.join else self.row_problem(fields)
        if self.refusal or told:
            raise RowError(self.refusal or str(told))
        try:
            return self.read(fields)
        except RecursionError as error:
            raise RowError(f"values are nested too deeply (format {self.name})") from error
