"""A log of any size as numbered lines: a sparse index in memory, the lines read from the disk when shown.

The index holds one entry for each 64 KiB of the file, so a million lines cost some kilobytes.
"""

import os
import stat
from array import array
from bisect import bisect_right
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from dpo_tui.log_search import LogSearch
from engine.sanitize import visible

CHUNK = 1 << 16
"""Bytes between two entries of the index: what is read to show a line."""
MAX_SHOWN = 1 << 14
"""Bytes of a line that are shown. A line may be a gigabyte."""
_KEPT_CHUNKS = 8
_MARK = 32
"""Bytes before the indexed end that are compared, to notice a file cut and written anew."""


class LogFile:
    """Lines of the file at `path`, which may grow, shrink, be replaced, or not be there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0
        """Counts how often everything known of the file became void."""
        self.size = 0
        """Bytes it had at the last `poll`."""
        self._descriptor = -1
        self._forget()

    def _forget(self) -> None:
        self._starts = array("Q", [0])  # offset of the first line of each chunk
        self._firsts = array("Q", [0])  # and the number of that line
        self._end = 0  # bytes of complete lines that are counted
        self._complete = 0  # how many lines these are
        self._scanned = 0  # bytes looked at: beyond `_end` while a line has no end yet
        self._mark = b""
        self._chunks: OrderedDict[int, list[bytes]] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        """Lines known so far; a last one without its newline counts."""
        return self._complete + (self._scanned > self._end)

    @property
    def behind(self) -> int:
        """Bytes not looked at yet."""
        return self.size - self._scanned

    @property
    def complete_bytes(self) -> int:
        """Bytes of the lines that have come to their end."""
        return self._end

    def poll(self, budget: float = 0.01) -> bool:
        """Look at what is new for about `budget` seconds. True when anything changed."""
        known = (self.generation, self._scanned, self.size)
        if not self._same_file() and not self._reopen():
            return known != (self.generation, self._scanned, self.size)
        deadline = perf_counter() + budget
        while self._scanned < self.size and perf_counter() < deadline:
            if not self._scan():
                break
        return known != (self.generation, self._scanned, self.size)

    def line(self, number: int) -> str:
        """Line `number`, from 0, safe to show: what a `\\r` overwrote is gone, an overlong line is cut."""
        return shown_line(self.raw_line(number))

    def raw_line(self, number: int) -> bytes:
        """The bytes of a line, the beginning and the end of an overlong one; empty where there is none."""
        if not 0 <= number < len(self):
            return b""
        if number >= self._complete:
            return self._read_line(self._end, self._scanned)
        chunk = bisect_right(self._firsts, number) - 1
        lines = self._lines_of(chunk)
        index = number - self._firsts[chunk]
        return lines[index] if index < len(lines) else b""

    def search(self, query: str) -> LogSearch:
        """A search through all lines."""
        return LogSearch(self.path, query)

    def close(self) -> None:
        """Release the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _same_file(self) -> bool:
        """Whether the open file is still the one at `path`, and what was read of it still stands in it."""
        if self._descriptor < 0:
            return False
        try:
            there, ours = os.stat(self.path), os.fstat(self._descriptor)
        except OSError:
            return False
        if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino) or ours.st_size < self._scanned:
            return False
        self.size = ours.st_size
        return self._pread(self._scanned - len(self._mark), len(self._mark)) == self._mark

    def _reopen(self) -> bool:
        """Begin anew with the file that is at `path` now; False when none is."""
        self.close()
        if self._scanned:
            self.generation += 1
        self._forget()
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            about = os.fstat(self._descriptor)
        except OSError:
            return False
        self.size = about.st_size if stat.S_ISREG(about.st_mode) else 0
        return True

    def _scan(self) -> bool:
        """Count the lines of the next block; False when nothing could be read."""
        block = self._pread(self._scanned, min(CHUNK, self.size - self._scanned))
        if not block:
            return False
        self._mark = (self._mark + block)[-_MARK:]
        self._chunks.pop(len(self._starts) - 1, None)
        first, last = block.find(b"\n"), block.rfind(b"\n")
        if (
            first >= 0 and self._scanned - self._end > CHUNK
        ):  # an overlong line ends: it is a chunk of its own
            self._begin_chunk()
            self._end, self._complete = self._scanned + first + 1, self._complete + 1
            self._begin_chunk()
            first += 1
        if last >= 0:
            self._complete += block.count(b"\n", max(0, first))
            self._end = self._scanned + last + 1
        if self._end - self._starts[-1] >= CHUNK:
            self._begin_chunk()
        self._scanned += len(block)
        return True

    def _begin_chunk(self) -> None:
        if self._starts[-1] != self._end:
            self._starts.append(self._end)
            self._firsts.append(self._complete)

    def _lines_of(self, chunk: int) -> list[bytes]:
        """The complete lines of a chunk, without their newlines."""
        if chunk in self._chunks:
            self._chunks.move_to_end(chunk)
            return self._chunks[chunk]
        start = self._starts[chunk]
        closed = chunk + 1 < len(self._starts)
        end = self._starts[chunk + 1] if closed else self._end
        lines = self._split(start, end)
        self._chunks[chunk] = lines
        if len(self._chunks) > _KEPT_CHUNKS:
            self._chunks.popitem(last=False)
        return lines

    def _split(self, start: int, end: int) -> list[bytes]:
        """The complete lines between two offsets; an overlong one stands alone."""
        if end - start > 3 * CHUNK:
            return [self._read_line(start, end - 1)]
        return self._pread(start, end - start).split(b"\n")[:-1]

    def _read_line(self, start: int, end: int) -> bytes:
        if end - start <= 2 * MAX_SHOWN:
            return self._pread(start, end - start)
        return self._pread(start, MAX_SHOWN) + self._pread(end - MAX_SHOWN, MAX_SHOWN)

    def _pread(self, offset: int, count: int) -> bytes:
        with suppress(OSError):
            return os.pread(self._descriptor, count, offset)
        return b""


def shown_line(raw: bytes) -> str:
    """A line as a terminal would leave it standing: the last state of a bar, tabs as spaces, nothing that steers."""
    raw = raw.rstrip(b"\r\n")
    if b"\r" in raw:
        raw = raw.rpartition(b"\r")[2]
    return visible(raw[:MAX_SHOWN].decode("utf-8", "replace")).expandtabs(4)
