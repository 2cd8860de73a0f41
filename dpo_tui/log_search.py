"""Finding lines of a log: plain text, upper and lower case alike, a block at a time."""

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

MOST_MATCHES = 100_000
"""Lines remembered. Who has more of them needs a better word."""
_BLOCK = 1 << 18


class Searched(Protocol):
    """A log, as far as a search of it is concerned."""

    def __len__(self) -> int:
        """Its lines."""

    @property
    def complete_bytes(self) -> int:
        """Bytes of the lines that have come to their end."""
        ...


class LogSearch:
    """The lines of the file at `path` that hold `query`. It goes on where it stopped when the file has grown.

    One thread at a time advances it; others may read it meanwhile.
    """

    def __init__(self, path: Path, query: str) -> None:
        self.query = query
        self.lines = array("Q")
        """Line numbers from 0, ascending."""
        self.offset = 0
        """Bytes of complete lines that were looked through."""
        self._path = path
        self._needle = query.lower()
        self._line = 0

    @property
    def full(self) -> bool:
        """Whether it gave up counting."""
        return len(self.lines) >= MOST_MATCHES

    def behind(self, log: Searched) -> bool:
        """Whether there are lines that were not looked through."""
        return self.offset < log.complete_bytes

    def advance(self, cancelled: Callable[[], bool]) -> None:
        """Look through what is new, until its end or until `cancelled`."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return
        try:
            while not self.full and not cancelled() and self._advance(descriptor):
                pass
        except OSError:
            return
        finally:
            os.close(descriptor)

    def after(self, line: int) -> int | None:
        """The first match below `line`, else the first of all."""
        return self._at(bisect_right(self.lines, line))

    def before(self, line: int) -> int | None:
        """The last match above `line`, else the last of all."""
        return self._at(bisect_left(self.lines, line) - 1)

    def rank(self, line: int) -> int | None:
        """How many-eth match `line` is, from 1; None when it is none."""
        index = bisect_left(self.lines, line)
        return index + 1 if index < len(self.lines) and self.lines[index] == line else None

    def _at(self, index: int) -> int | None:
        count = len(self.lines)
        return int(self.lines[index % count]) if count else None

    def _advance(self, descriptor: int) -> bool:
        """Look through the next block of complete lines; False when there is none."""
        block = os.pread(descriptor, _BLOCK, self.offset)
        end = block.rfind(b"\n") + 1
        if not end:
            return self._pass_over(descriptor, len(block))
        lines = block[:end].split(b"\n")[:-1]
        if self._needle in block[:end].decode("utf-8", "replace").lower():
            found = (
                number
                for number, line in enumerate(lines, self._line)
                if self._needle in line.decode("utf-8", "replace").lower()
            )
            self.lines.extend(found)
        self._line += len(lines)
        self.offset += end
        return True

    def _pass_over(self, descriptor: int, count: int) -> bool:
        """Skip a line longer than a block: it is found by its beginning, if it has come to its end."""
        if count < _BLOCK:
            return False
        head, offset = os.pread(descriptor, _BLOCK, self.offset), self.offset
        while block := os.pread(descriptor, _BLOCK, offset):
            if (end := block.find(b"\n")) >= 0:
                if self._needle in head.decode("utf-8", "replace").lower():
                    self.lines.append(self._line)
                self._line += 1
                self.offset = offset + end + 1
                return True
            offset += len(block)
        return False
