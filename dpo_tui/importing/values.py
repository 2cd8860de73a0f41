"""What an expression of a foreign config is known to be, with the line it came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from engine.config.strings import masked
from engine.sanitize import one_line


@dataclass(frozen=True, slots=True)
class Place:
    """A line, from 1; `file` is the name of a base config, and empty for the file that is imported."""

    line: int
    file: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file else str(self.line)


@dataclass(frozen=True, slots=True)
class Symbol:
    """Something that was imported or defined: a class, a function, `torch.float16`. Only its name is known."""

    dotted: str

    @property
    def last(self) -> str:
        """`AutoTokenizer.from_pretrained` is a method of a class: what stands after the modules."""
        return self.dotted.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Called:
    """A call that is not made, of a function by its dotted name."""

    function: str
    arguments: tuple["Value", ...]
    named: Mapping[str, "Value"]


@dataclass(frozen=True, slots=True)
class Unread:
    """What is not known: `why` is a key of the catalogue below `import.why`, `what` the name it is about."""

    why: str
    what: str = ""


Scalar: TypeAlias = bool | int | float | str | None
Data: TypeAlias = Scalar | tuple["Value", ...] | Mapping[str, "Value"] | Symbol | Called | Unread


@dataclass(frozen=True, slots=True)
class Value:
    """A value; `name` is the constant of the file that it was written as, where it was."""

    data: Data
    place: Place
    name: str = ""


def safe(text: str) -> str:
    """A text of the file as it may be repeated: it steers no terminal, and no token in it can be read."""
    return masked(one_line(text))


def is_number(data: Data) -> bool:
    """Whether it is a number, and not a truth value."""
    return isinstance(data, int | float) and not isinstance(data, bool)
