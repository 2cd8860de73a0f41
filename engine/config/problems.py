"""What is wrong with a config: every problem with its place, all of them in one error."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any, Self

from engine.exits import UsageError

KeyPath = tuple[str | int, ...]

MOST_SHOWN = 50
"""Problems told in full; a hostile file could hold a hundred thousand."""

_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence in English, and the code and params by which the catalogues say it in other languages."""

    text: str
    code: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the value at `key`, before anybody knows where that stands.

    `code` and `params` are what the catalogues translate, `text` the English; no code for what has no translation.
    """

    key: KeyPath
    text: str
    missing: bool = False
    code: str = ""
    params: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, key: KeyPath, message: Message, *, missing: bool = False) -> Self:
        """The fault that a message is about."""
        return cls(key, message.text, missing, message.code, message.params)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct: `source` is the file or `--set key=value`, `key` the dotted key or empty."""

    source: str
    line: int | None
    key: str
    text: str
    code: str = ""
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """`file:line`, or the source alone where there is no line."""
        return self.source if self.line is None else f"{self.source}:{self.line}"

    def told(self) -> dict[str, Any]:
        """In JSON's types, for a catalogue on the other side of a file."""
        return {
            "where": self.where, "key": self.key, "text": self.text, "code": self.code, "params": self.params,
        }  # fmt: skip

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.key, self.text) if part)


class ConfigError(UsageError):
    """A config that cannot be used; its text has one problem a line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[:MOST_SHOWN]]
        if len(self.problems) > MOST_SHOWN:
            lines.append(f"... and {len(self.problems) - MOST_SHOWN} more problems")
        told = [problem.told() for problem in self.problems[:MOST_SHOWN]]
        super().__init__("config.invalid", "\n".join(lines), count=len(self.problems), problems=told)


def dotted(key: KeyPath) -> str:
    """The key as people write it, `data.sources[0].path`; any part but a bare key quoted and escaped."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = part.isascii() and part.replace("-", "_").isidentifier()
            text += ("." if text else "") + (part if bare else shown_text(part))
    return text


def shown_text(text: str) -> str:
    """Quoted, shortened, and with everything that does not print escaped."""
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…")


def found(value: Any) -> str:
    """A TOML value as a param: as it stands in a message, but for words of English around it."""
    return str(value) if isinstance(value, date | time) else shown(value)


def shown(value: Any) -> str:
    """A TOML value as it stands in a message."""
    match value:
        case str():
            return shown_text(value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case dict():
            return "a table"
        case list():
            return "a list"
        case None:
            return "nothing"
        case _:
            return f"the date or time {value}"
