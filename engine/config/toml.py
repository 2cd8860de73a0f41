"""A TOML file that can be edited without losing a byte of what a person wrote.

`tomllib` reads, `tomlkit` edits. Whatever a file holds, the answer is a document or a located ConfigError.
"""

import re
import tomllib
from collections.abc import Callable, MutableMapping, MutableSequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

import tomlkit

from engine.config.locate import OutOfBounds, Places, locate
from engine.config.problems import ConfigError, KeyPath, Message, Problem
from engine.shipped import template_names

LARGEST = 1 << 20
"""Most bytes of a config file: 1 MiB. A config has a few thousand."""

_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_CRLF = re.compile("(?<!\r)\n")
_EXPONENT = re.compile(r"e([+-])0")
_CROWDED = re.compile(r"^(?!#|\s*$).*\n(?=\[)", re.MULTILINE)
"""A line right above a table: in a file that has none, a new table gets its empty line too."""

_IN_OTHER_WORDS = (
    (re.compile(r"Invalid value"), "value", "a value was expected; text needs quotes"),
    (
        re.compile(r"Cannot overwrite a value|Duplicate (?:inline table )?key"),
        "twice",
        "this key has a value already",
    ),
    (
        re.compile(r"Cannot (?:declare|mutate|redefine)"),
        "table_twice",
        "this table stands in the file already",
    ),
    (
        re.compile(
            r"(?:Illegal|Found invalid) character '(?:\\r)?\\n'|Unterminated string|Expected [\"']{3}"
        ),
        "string",
        "the text in quotes does not end on its line",
    ),
    (
        re.compile(r"Unescaped '\\'|Invalid hex value|Escaped character"),
        "backslash",
        "a backslash in double quotes is an escape; use single quotes, or two",
    ),
    (re.compile(r"Expected '=' after a key"), "equals", "'=' was expected after the key"),
    (re.compile(r"Expected newline or end of document"), "more", "nothing more was expected on this line"),
    (re.compile(r"Unclosed array"), "list", "the list does not end: ']' or ',' was expected"),
    (re.compile(r"Unclosed inline table"), "inline_table", "the table does not end: '}' or ',' was expected"),
    (
        re.compile(r"Invalid (?:initial character for a key part|statement)"),
        "statement",
        "a key or a [table] was expected",
    ),
)


class TomlDocument:
    """The text of a config file, its values, and the line of each key."""

    def __init__(self, text: str, path: Path, data: dict[str, Any], places: Places) -> None:
        self.path = path
        self.source = text
        """The text as it was read, which lines refer to."""
        self._text = text
        self._data = data
        self._lines = places.lines

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ConfigError for a file that is missing, unreadable, too large, not UTF-8 or not TOML."""
        return cls.parse(_read_text(path), path)

    @classmethod
    def parse(cls, text: str, path: Path) -> Self:
        """`path` is only what messages name. Raises ConfigError."""
        try:
            places = locate(text)
        except OutOfBounds as beyond:
            raise _error(path, Message(beyond.text, beyond.code), beyond.line) from None
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise _not_toml(path, str(error), places.stopped or text.count("\n") + 1) from None
        except (ValueError, RecursionError) as error:
            raise _error(
                path, Message(f"not readable as TOML: {error}", "toml.unreadable", {"detail": str(error)})
            ) from None
        return cls(text, path, data, places)

    def dumps(self) -> str:
        """The text: byte for byte the one read while nothing is set, line endings included."""
        return self._text

    def unwrap(self) -> dict[str, Any]:
        """A copy of the values as plain dicts and lists."""
        return deepcopy(self._data)

    def line_of(self, key: KeyPath) -> int | None:
        """The line of `key` in the text as it was read; if not there, of the innermost table around it."""
        for length in range(len(key), 0, -1):
            if key[:length] in self._lines:
                return self._lines[key[:length]]
        return None

    def has_line(self, key: KeyPath) -> bool:
        """Whether the text as it was read holds `key`."""
        return key in self._lines

    def set(self, dotted_key: str, value: Any) -> None:
        """Set `data.sources.0.path` and the like; missing tables are made, comments stay.

        Raises KeyError with a sentence when the key leads through a value, or past the end of a list.
        """
        parts = dotted_key.split(".")
        written = _as_written(value)
        self._edit(
            lambda values: assign(
                values, parts, written if isinstance(values, tomlkit.TOMLDocument) else value
            )
        )

    def remove(self, dotted_key: str) -> None:
        """Take a key, a table or an entry of a list out; nothing happens where there is none. Comments stay."""
        parts = dotted_key.split(".")
        self._edit(lambda values: discard(values, parts))

    def _edit(self, change: Callable[[Any], None]) -> None:
        data = self.unwrap()
        change(data)
        if data != self._data:
            self._text = _edited(self._text, change, data)
            self._data = data


def assign(container: Any, parts: list[str], value: Any) -> None:
    """Set the value under `parts` in nested dicts and lists; raises KeyError with a sentence."""
    for depth, part in enumerate(parts[:-1]):
        step = _step(container, part, parts[:depth])
        if isinstance(step, str) and step not in container:
            container[step] = {}
        container = container[step]
    container[_step(container, parts[-1], parts[:-1])] = value


def discard(container: Any, parts: list[str]) -> None:
    """Remove what is under `parts` in nested dicts and lists, if it is there."""
    try:
        for depth, part in enumerate(parts[:-1]):
            container = container[_step(container, part, parts[:depth])]
        del container[_step(container, parts[-1], parts[:-1])]
    except KeyError:
        pass


def parse_value(text: str) -> Any:
    """`text` as a TOML value, or as it stands where it is none: `5e-7` is a number, `cosine` is text."""
    try:
        parsed = TomlDocument.parse(f"value = {text}", Path("value")).unwrap()
    except ConfigError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def written(value: str | int | float | bool) -> str:
    """A value as TOML has it: what `parse_value` reads back."""
    return str(tomlkit.item(value).as_string())


def _step(container: Any, part: str, above: list[str]) -> str | int:
    """`part` as the key or index it is in `container`."""
    place = ".".join(above)
    if isinstance(container, MutableMapping):
        return part
    if not isinstance(container, MutableSequence):
        raise KeyError(f"{place} is a value, not a table", "set.value", {"place": place})
    if not (part.isascii() and part.isdigit() and len(part) < 6 and int(part) < len(container)):
        text = f"{place} is a list of {len(container)}; its entries count from 0"
        raise KeyError(text, "set.index", {"place": place, "count": len(container)})
    return int(part)


def _edited(text: str, change: Callable[[Any], None], expected: dict[str, Any]) -> str:
    """`text` with the change made, its comments and line endings kept.

    tomlkit stumbles over some orders of tables. The result counts only if it reads back as `expected`;
    otherwise the values are written afresh, without comments: a right config is worth more than a pretty one.
    """
    try:
        document = tomlkit.parse(text)
        change(document)
        edited = tomlkit.dumps(document)
        if not _CROWDED.search(text):
            edited = _CROWDED.sub(r"\g<0>\n", edited)
        faithful = tomllib.loads(edited) == expected
    except Exception:
        faithful = False
    if not faithful:
        edited = tomlkit.dumps(expected)
    return _CRLF.sub("\r\n", edited) if "\r\n" in text else edited


def _as_written(value: Any) -> Any:
    """A number with an exponent as people write it: 5e-7, not 5e-07."""
    if isinstance(value, float) and "e" in (text := repr(value)):
        return tomlkit.value(_EXPONENT.sub(r"e\1", text))
    return value


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise _error(path, _no_such_file(path)) from None
    except (OSError, ValueError) as error:
        detail = str(getattr(error, "strerror", None) or error)
        raise _error(
            path, Message(f"cannot be read: {detail}", "file.unreadable", {"detail": detail})
        ) from None
    if len(data) > LARGEST:
        raise _error(path, Message("larger than 1 MiB, which no config is", "file.too_large"))
    if data.startswith(b"\xef\xbb\xbf"):
        text = "the file starts with a byte order mark; save it as UTF-8 without one"
        raise _error(path, Message(text, "file.byte_order_mark"), 1)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line, byte = data.count(b"\n", 0, error.start) + 1, f"0x{data[error.start]:02x}"
        text = f"not UTF-8: byte {byte}; save the file as UTF-8"
        raise _error(path, Message(text, "file.not_utf8", {"byte": byte}), line) from None


def _no_such_file(path: Path) -> Message:
    if str(path) not in template_names():
        return Message("no such file", "file.missing")
    command = f"dpo-tui templates cp {path}"
    text = f"no such file; `{command}` writes the template {path} to {path}.toml"
    return Message(text, "file.missing", {"case": "template", "command": command, "name": str(path)})


def _not_toml(path: Path, message: str, last: int) -> ConfigError:
    """What tomllib says in other words; on line `last` began what has no end, if it says no line."""
    position = _POSITION.search(message)
    plain = message[: position.start()] if position else message
    case, plain = next(
        ((name, words) for pattern, name, words in _IN_OTHER_WORDS if pattern.match(plain)), ("", plain)
    )
    if position and position.group(1):
        column, line = position.group(2), int(position.group(1))
        params = {"case": case, "column": column, "detail": plain}
        return _error(path, Message(f"not TOML: {plain} (column {column})", "toml.invalid", params), line)
    params = {"case": case, "column": "end of the file", "detail": plain}
    return _error(path, Message(f"not TOML: {plain} (end of the file)", "toml.invalid", params), last)


def _error(path: Path, message: Message, line: int | None = None) -> ConfigError:
    return ConfigError([Problem(str(path), line, "", message.text, message.code, message.params)])
