"""Rows put aside on disk while others of the same source are read, so that memory stays bounded."""

import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.data.files.sources import Row
from engine.exits import CannotWriteError
from engine.sanitize import one_line


def digest(text: str) -> bytes:
    """A key of fixed length for a text of any."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Shelf:
    """A table of rows in an SQLite file: `keys` are further columns to find them by, each with an index.

    Every method raises `CannotWriteError` when the disk fails.
    """

    def __init__(self, file: Path, keys: Sequence[str]) -> None:
        self._file = file
        self._places: list[str] = []
        self._keys = keys
        self._database = sqlite3.connect(file, isolation_level=None)
        columns = ", ".join(("place", "number", "by_line", "fields", *keys))
        self._run("PRAGMA journal_mode = OFF")
        self._run("PRAGMA synchronous = OFF")
        self._run(f"CREATE TABLE rows (at INTEGER PRIMARY KEY, {columns})")
        for key in keys:
            self._run(f"CREATE INDEX by_{key} ON rows ({key}, at)")
        self._run("BEGIN")

    def _run(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise _failed(self._file, error) from error

    def add(self, row: Row, *keys: Any) -> None:
        """Put a row aside. What JSON has no type for is kept as text: no layout reads it."""
        if not self._places or self._places[-1] != row.place:
            self._places.append(row.place)
        fields = json.dumps(row.fields, default=str)
        values = (len(self._places) - 1, row.number, row.by_line, fields, *keys)
        self._run(f"INSERT INTO rows VALUES (NULL, {', '.join('?' * len(values))})", values)  # noqa: S608

    def find(self, condition: str = "TRUE", *values: Any) -> Iterator[tuple[int, Row]]:
        """Rows for which an SQL condition holds, each with its number here, in the order they were put aside."""
        asked = f"SELECT at, place, number, by_line, fields FROM rows WHERE {condition} ORDER BY at"  # noqa: S608
        found = self._run(asked, values)
        while True:
            try:
                entry = found.fetchone()
            except sqlite3.Error as error:
                raise _failed(self._file, error) from error
            if entry is None:
                return
            at, place, number, by_line, fields = entry
            yield at, Row(self._places[place], number, bool(by_line), json.loads(fields))

    def first(self, condition: str, *values: Any) -> tuple[int, Row] | None:
        return next(self.find(condition, *values), None)

    def remove(self, at: int) -> None:
        self._run("DELETE FROM rows WHERE at = ?", (at,))

    def close(self) -> None:
        self._database.close()


@contextmanager
def shelf(scratch: Path, *keys: str) -> Iterator[Shelf]:
    """An empty shelf in a file of its own, gone afterwards. Raises `CannotWriteError` when it cannot be made."""
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="rows-", dir=scratch, ignore_cleanup_errors=True)
        opened = Shelf(Path(folder.name, "rows.sqlite"), keys)
    except (OSError, sqlite3.Error) as error:
        raise _failed(scratch, error) from error
    try:
        yield opened
    finally:
        opened.close()
        folder.cleanup()


def _failed(place: Path, error: Exception) -> CannotWriteError:
    text = (
        f"{place}: rows could not be put aside here while reading: {error}. Free space, or check the rights."
    )
    return CannotWriteError("data.scratch", one_line(text), place=str(place), cause=str(error))
