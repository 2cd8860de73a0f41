"""Text files, plain or gzipped, line by line, and the rows of CSV files: in a stream, every error with its line."""

import csv
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import BufferedIOBase
from pathlib import Path
from typing import Any, TypeAlias

from engine.exits import UnusableError
from engine.sanitize import one_line

MAX_ROW = 64 << 20
"""Longest row in characters: a longer one is a broken file, not a preference."""

NumberedRow: TypeAlias = tuple[int, dict[str, Any]]


def unusable(where: str, problem: str) -> UnusableError:
    """The error of a file, line or row that cannot be read."""
    text = one_line(f"{where}: {problem}")
    return UnusableError("data.unreadable", text, where=where, problem=problem)


@contextmanager
def binary(path: Path) -> Iterator[BufferedIOBase]:
    """The bytes of a file, unpacked if it is gzipped. Raises `UnusableError` when they cannot be read."""
    try:
        packed = path.suffix == ".gz"
        with path.open("rb") as file, gzip.open(file) if packed else nullcontext(file) as plain:
            yield plain
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise unusable(str(path), f"broken gzip file ({error}). Fetch it again.") from error
    except OSError as error:
        raise unusable(str(path), f"cannot be read: {error.strerror or error}.") from error


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, each decoded by itself so that a wrong byte is found where it stands."""
    with binary(path) as file:
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


def csv_rows(path: Path) -> Iterator[NumberedRow]:
    """Rows of a CSV file with a header, every value text, with the line each begins on."""
    csv.field_size_limit(MAX_ROW)
    reader = csv.reader((line for _, line in numbered_lines(path)), strict=True)
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
