"""Rows of JSON Lines files and of JSON documents that hold one array of rows, in a stream."""

import codecs
import json
import re
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from engine.data.files import text_files
from engine.data.files.text_files import NumberedRow, binary, numbered_lines, unusable
from engine.exits import UnusableError

CHUNK = 1 << 20
"""Bytes read at once, and how far into a file is looked to tell what it is."""

EXPECTED = "Expected one JSON array of objects"
SPREAD = "one object spread over lines; expected an array of rows, an object with one, or one object a line."
_STRING = r'"(?:[^"\\]|\\.)*"'
_SCALAR = rf"(?:{_STRING}|-?[0-9][0-9.eE+-]*|true|false|null)"
WRAPPED = re.compile(rf"\{{(?:\s*{_STRING}\s*:\s*{_SCALAR}\s*,)*\s*{_STRING}\s*:\s*\[\s*\{{")
"""An object up to the first row of its first array of objects."""

SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _object(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object out of its entries. Raises `ValueError` for a repeated key: all its values but one would be lost."""
    fields = dict(items)
    if len(fields) != len(items):
        keys = [key for key, _ in items]
        raise ValueError(
            f'the key "{next(key for key in keys if keys.count(key) > 1)}" stands twice in an object'
        )
    return fields


_JSON = json.JSONDecoder(object_pairs_hook=_object)


def json_lines(path: Path) -> Iterator[NumberedRow]:
    """Rows of a JSON Lines file with their line numbers; blank lines are passed over."""
    first = True
    for number, line in numbered_lines(path):
        if not line.isspace():
            where = f"{path}:{number}"
            try:
                value = _JSON.decode(line.rstrip("\r\n"))
            except (ValueError, RecursionError) as error:
                problem = f"{_cause(error)}. Expected one JSON object a line."
                raise unusable(where, SPREAD if first and _is_spread(path) else problem) from error
            yield number, _checked(value, line, where)
            first = False


def holds_array(path: Path) -> bool:
    """Whether the file is one JSON document with an array of rows; otherwise it has to be JSON Lines.

    That is an array; or, in a file named .json, an object with one array of objects: {"data": [{...}, ...]}.
    """
    start = _text(_beginning(path, 4096))
    if start.startswith("["):
        return True
    named = path.name.lower().removesuffix(".gz").endswith(".json")
    wrapped = WRAPPED.match(start) if named else None
    return wrapped is not None and ("\n" in wrapped[0] or _is_spread(path) or _wraps_rows(path))


def _wraps_rows(path: Path) -> bool:
    """Whether the only line of a file is an object with one array of objects, or too long to be a row."""
    with binary(path) as file:
        line = tail = file.readline(CHUNK)
        while tail and not tail.endswith(b"\n"):
            tail = file.readline(CHUNK)
        if any(not chunk.isspace() for chunk in iter(lambda: file.read(CHUNK), b"")):
            return False
    try:
        value = json.loads(_text(line))
    except (ValueError, RecursionError):
        return len(line) == CHUNK
    return [_is_rows(entry) for entry in value.values()].count(True) == 1


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(entry, dict) for entry in value)


def _beginning(path: Path, size: int) -> bytes:
    with binary(path) as file:
        return file.read(size)


def _text(raw: bytes) -> str:
    """What a file begins with, as text without a byte order mark and white space."""
    return raw.removeprefix(codecs.BOM_UTF8).decode(errors="replace").lstrip()


def _is_spread(path: Path) -> bool:
    """Whether the file begins with an object that ends on a later line, or later than a chunk can tell."""
    raw = _beginning(path, CHUNK)
    start = _text(raw)
    try:
        _, end = json.JSONDecoder().raw_decode(start)
    except json.JSONDecodeError as error:
        at_the_end = error.msg.startswith("Unterminated string") or len(start) - error.pos < 16
        return len(raw) == CHUNK and start.startswith("{") and "\n" in start and at_the_end
    except (ValueError, RecursionError):
        return False
    return start.startswith("{") and "\n" in start[:end]


def json_array(path: Path) -> Iterator[NumberedRow]:
    """Rows of one JSON array, numbered from 1, without holding more than a chunk of it."""
    reader = _ArrayReader(path)
    with binary(path) as file:
        for number, (value, text) in enumerate(reader.values(file), 1):
            yield number, _checked(value, text, f"{path} row {number}")


class _ArrayReader:
    """Decodes the values of one JSON array out of a growing and shrinking window on the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._window = ""
        self._at = 0
        self._line = 1  # line of the window's first character
        self._wrapped = False
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode

    def values(self, file: BufferedIOBase) -> Iterator[tuple[Any, str]]:
        """Each value with its text."""
        self._open(file)
        if self._next(file) == "]":
            return self._end(file)
        while True:
            yield self._value(file)
            sign = self._next(file)
            if sign == "]":
                return self._end(file)
            if sign != ",":
                raise self._broken(
                    self._at, "expected , or ] after a row" if sign else "the array has no end"
                )
            self._at += 1
            self._next(file)

    def _open(self, file: BufferedIOBase) -> None:
        """Go past the bracket that opens the array, and past what stands before it in an object."""
        if self._next(file) == "{":
            self._wrapped = True
            while not (found := WRAPPED.match(self._window, self._at)):
                if not self._more(file):
                    raise self._broken(self._at, "the object holds no array of objects")
            self._at = self._window.rindex("[", 0, found.end())
        self._at += 1

    def _end(self, file: BufferedIOBase) -> None:
        """Go past the bracket that closes the array; nothing but the rest of an object may follow."""
        self._at += 1
        if self._wrapped:
            self._close(file)
        if self._next(file):
            raise self._broken(
                self._at, f"text after the end of the {'object' if self._wrapped else 'array'}"
            )

    def _close(self, file: BufferedIOBase) -> None:
        """Go past the entries after the array, and the brace that closes the object."""
        while self._next(file) == ",":
            self._at += 1
            self._next(file)
            key, _ = self._value(file)
            if not isinstance(key, str) or self._next(file) != ":":
                raise self._broken(self._at, "expected a key and :")
            self._at += 1
            self._next(file)
            value, _ = self._value(file)
            if _is_rows(value):
                raise self._broken(self._at, "the object holds several arrays of objects")
        if self._next(file) != "}":
            raise self._broken(self._at, "the object has no end")
        self._at += 1

    def _more(self, file: BufferedIOBase, size: int = 0) -> bool:
        """Drop what has been read from the window and append to it; False at the end of the file."""
        self._line += self._window.count("\n", 0, self._at)
        self._window, self._at = self._window[self._at :], 0
        raw = file.read(max(CHUNK, size))
        try:
            self._window += self._decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            line = self._line + self._window.count("\n") + error.object[: error.start].count(b"\n")
            raise unusable(f"{self.path}:{line}", "not UTF-8. Save the file as UTF-8.") from error
        return bool(raw)

    def _next(self, file: BufferedIOBase) -> str:
        """Go to the next character that is not white space; empty at the end of the file."""
        while True:
            while self._at < len(self._window):
                if self._window[self._at] not in " \t\r\n":
                    return self._window[self._at]
                self._at += 1
            if not self._more(file):
                return ""

    def _value(self, file: BufferedIOBase) -> tuple[Any, str]:
        while True:
            try:
                value, end = _JSON.raw_decode(self._window, self._at)
            except (ValueError, RecursionError) as error:
                if not self._cut_off(error) or not self._more(file, len(self._window)):
                    at = error.pos if isinstance(error, json.JSONDecodeError) else self._at
                    raise self._broken(at, _cause(error)) from error
            else:
                if end == len(self._window) and isinstance(value, int | float) and self._more(file):
                    continue  # the number may go on
                text = self._window[self._at : end]
                self._at = end
                return value, text

    def _cut_off(self, error: Exception) -> bool:
        """Whether the value may only lack the rest of it, which the file still holds."""
        if not isinstance(error, json.JSONDecodeError):
            return False
        if len(self._window) - self._at > text_files.MAX_ROW:
            return False
        return error.msg.startswith("Unterminated string") or len(self._window) - error.pos < 16

    def _broken(self, at: int, problem: str) -> UnusableError:
        line = self._line + self._window.count("\n", 0, at)
        return unusable(
            f"{self.path}:{line}", f"{problem}. {EXPECTED}{' in an object' if self._wrapped else ''}."
        )


def _cause(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        place = f"column {error.colno}"
        return f"not valid JSON: {error.msg} {place if error.msg.endswith(' at') else f'({place})'}"
    deep = isinstance(error, RecursionError)
    return f"not usable JSON: {'nested too deeply' if deep else error}"


def _checked(value: Any, text: str, where: str) -> dict[str, Any]:
    """A decoded value as a row: an object whose texts can be written as UTF-8."""
    if not isinstance(value, dict):
        raise unusable(where, f"a row is a JSON object, and this is {text[:20]!r}.")
    if "\\u" in text and SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            problem = "half of a surrogate pair (\\ud800 to \\udfff): the text is broken."
            raise unusable(where, problem) from error
    return value
