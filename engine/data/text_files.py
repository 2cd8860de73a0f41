"""Rows of JSON, JSON Lines and CSV files, plain or gzipped: read in a stream, every error with its line."""

import codecs
import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import BufferedIOBase
from pathlib import Path
from typing import Any, TypeAlias

from engine.exits import UnusableError
from engine.sanitize import one_line

CHUNK = 1 << 20
MAX_ROW = 64 << 20
"""Longest row in characters: a longer one is a broken file, not a preference."""

SPREAD = "one object spread over lines; expected an array of rows or one object a line."

NumberedRow: TypeAlias = tuple[int, dict[str, Any]]


def unusable(where: str, problem: str) -> UnusableError:
    """The error of a file, line or row that cannot be read."""
    text = one_line(f"{where}: {problem}")
    return UnusableError("data.unreadable", text, where=where, problem=problem)


@contextmanager
def _binary(path: Path) -> Iterator[BufferedIOBase]:
    """The bytes of a file, unpacked if it is gzipped. Raises `UnusableError` when they cannot be read."""
    try:
        packed = path.suffix == ".gz"
        with path.open("rb") as file, gzip.open(file) if packed else nullcontext(file) as plain:
            yield plain
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise unusable(str(path), f"broken gzip file ({error}). Fetch it again.") from error
    except OSError as error:
        raise unusable(str(path), f"cannot be read: {error.strerror or error}.") from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, each decoded by itself so that a wrong byte is found where it stands."""
    with _binary(path) as file:
        number = 0
        while raw := file.readline(MAX_ROW + 1):
            number += 1
            if len(raw) > MAX_ROW:
                raise unusable(f"{path}:{number}", f"the line is longer than {MAX_ROW >> 20} MiB.")
            try:
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                problem = f"not UTF-8 (byte {error.object[error.start]:#04x}). Save the file as UTF-8."
                raise unusable(f"{path}:{number}", problem) from error


def is_json_array(path: Path) -> bool:
    """Whether the file is one JSON array of rows; otherwise it has to be JSON Lines."""
    with _binary(path) as file:
        return file.read(4096).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")


def json_lines(path: Path) -> Iterator[NumberedRow]:
    """Rows of a JSON Lines file with their line numbers; blank lines are passed over."""
    first = True
    for number, line in _lines(path):
        if line.strip():
            where = f"{path}:{number}"
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                problem = f"{_json_cause(error)}. Expected one JSON object a line."
                raise unusable(where, SPREAD if first and _is_one_object(path) else problem) from error
            yield number, _checked(value, line, where)
            first = False


def _is_one_object(path: Path) -> bool:
    """Whether the file begins with an object that ends on a later line, or later than a chunk can tell."""
    with _binary(path) as file:
        raw = file.read(CHUNK)
    start = raw.decode("utf-8-sig", errors="replace").lstrip()
    try:
        value, _ = json.JSONDecoder().raw_decode(start)
    except json.JSONDecodeError as error:
        at_the_end = error.msg.startswith("Unterminated string") or len(start) - error.pos < 16
        return len(raw) == CHUNK and start.startswith("{") and "\n" in start and at_the_end
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict)


def json_array(path: Path) -> Iterator[NumberedRow]:
    """Rows of one JSON array, numbered from 1, without holding more than a chunk of it."""
    reader = _ArrayReader(path)
    with _binary(path) as file:
        for number, (value, text) in enumerate(reader.values(file), 1):
            yield number, _checked(value, text, f"{path} row {number}")


class _ArrayReader:
    """Decodes the values of one JSON array out of a growing and shrinking window on the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._window = ""
        self._at = 0
        self._line = 1  # line of the window's first character
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._json = json.JSONDecoder()

    def values(self, file: BufferedIOBase) -> Iterator[tuple[Any, str]]:
        """Each value with its text."""
        self._next(file)
        self._at += 1  # the opening bracket
        if self._next(file) == "]":
            return self._end(file)
        while True:
            yield self._value(file)
            sign = self._next(file)
            self._at += 1
            if sign == "]":
                self._at -= 1
                return self._end(file)
            if sign != ",":
                raise self._broken(
                    self._at - 1, "expected , or ] after a row" if sign else "the array has no end"
                )
            self._next(file)

    def _end(self, file: BufferedIOBase) -> None:
        self._at += 1
        if self._next(file):
            raise self._broken(self._at, "text after the end of the array")

    def _more(self, file: BufferedIOBase, size: int = CHUNK) -> bool:
        """Drop what has been read from the window and append to it; False at the end of the file."""
        self._line += self._window.count("\n", 0, self._at)
        self._window, self._at = self._window[self._at :], 0
        raw = file.read(size)
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
                value, end = self._json.raw_decode(self._window, self._at)
            except (ValueError, RecursionError) as error:
                if not self._cut_off(error) or not self._more(file, max(CHUNK, len(self._window))):
                    at = error.pos if isinstance(error, json.JSONDecodeError) else self._at
                    raise self._broken(at, _json_cause(error)) from error
            else:
                text = self._window[self._at : end]
                self._at = end
                return value, text

    def _cut_off(self, error: Exception) -> bool:
        """Whether the value may only lack the rest of it, which the file still holds."""
        if not isinstance(error, json.JSONDecodeError) or len(self._window) - self._at > MAX_ROW:
            return False
        return error.msg.startswith("Unterminated string") or len(self._window) - error.pos < 16

    def _broken(self, at: int, problem: str) -> UnusableError:
        line = self._line + self._window.count("\n", 0, at)
        return unusable(f"{self.path}:{line}", f"{problem}. Expected one JSON array of objects.")


def _json_cause(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not valid JSON: {error.msg} (column {error.colno})"
    return (
        "not usable JSON: nested too deeply"
        if isinstance(error, RecursionError)
        else f"not usable JSON: {error}"
    )


def _checked(value: Any, text: str, where: str) -> dict[str, Any]:
    """A decoded value as a row: an object whose texts can be written as UTF-8."""
    if not isinstance(value, dict):
        raise unusable(where, f"a row is a JSON object, and this is {text[:20]!r}.")
    if "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise unusable(
                where, "half of a surrogate pair (\\ud800 to \\udfff): the text is broken."
            ) from error
    return value


def csv_rows(path: Path) -> Iterator[NumberedRow]:
    """Rows of a CSV file with a header, every value text, with the line each begins on."""
    csv.field_size_limit(MAX_ROW)
    reader = csv.reader((line for _, line in _lines(path)), strict=True)
    header: list[str] = []
    begins = 1
    try:
        for values in reader:
            if not header:
                header = _header(path, values)
            elif values:
                yield begins, _csv_row(header, values, f"{path}:{begins}")
            begins = reader.line_num + 1
    except csv.Error as error:
        raise unusable(f"{path}:{begins}", f"not valid CSV: {error}.") from error


def _header(path: Path, names: list[str]) -> list[str]:
    if len(set(names)) != len(names):
        raise unusable(f"{path}:1", "the header names a column twice.")
    return names


def _csv_row(header: list[str], values: list[str], where: str) -> dict[str, Any]:
    if len(values) != len(header):
        raise unusable(where, f"{len(values)} values, and the header names {len(header)} columns.")
    return dict(zip(header, values, strict=True))
