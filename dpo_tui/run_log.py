"""A run's log as one list of lines: what its processes print, and between it what the run itself has done.

What is printed has no time. While it is watched its lines stand where they came; those that were there before stand
together, where the last of them was printed: the end of a crash right before the word of it.
"""

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dpo_tui.log_file import LogFile
from dpo_tui.log_search import MOST_MATCHES, LogSearch, Searched
from dpo_tui.run_story import RunStory


@dataclass(frozen=True, slots=True)
class Part:
    """Lines of one origin that follow each other: the `first` there is the `start` in the whole."""

    told: bool
    """Whether they are the run's own."""
    start: int
    first: int
    count: int

    def places(self, found: "array[int] | list[int]") -> Iterator[int]:
        """Where in the whole those of `found`, ascending, stand that are in this part."""
        for index in range(bisect_left(found, self.first), bisect_left(found, self.first + self.count)):
            yield found[index] - self.first + self.start


class RunLog:
    """The file at `path` with the lines of `story` in it. Until both were read once only the file is there."""

    def __init__(self, path: Path, story: RunStory) -> None:
        self.path = path
        self.story = story
        self.file = LogFile(path)
        self.parts: list[Part] = []
        self.generation = 0
        """Counts how often the lines got other numbers."""
        self.told = story.lines
        """The run's own lines that are numbered: a story that begins anew has others."""
        self._seen: tuple[int, int] | None = None

    def __len__(self) -> int:
        if self._seen is None:
            return len(self.file)
        return self.parts[-1].start + self.parts[-1].count if self.parts else 0

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.file.size

    @property
    def behind(self) -> int:
        """Bytes of the file not looked at yet."""
        return self.file.behind

    @property
    def complete_bytes(self) -> int:
        """Bytes of the file's lines that have come to their end."""
        return self.file.complete_bytes

    def close(self) -> None:
        """Release the file."""
        self.file.close()

    def poll(self, budget: float = 0.01) -> bool:
        """Look at what is new of both. True when anything changed."""
        changed, before = self.file.poll(budget), len(self)
        if self._seen != (self.file.generation, self.story.restarts):
            return self._lay_out() or changed
        self._append(len(self.told), told=True)
        self._append(len(self.file), told=False)
        return changed or len(self) != before

    def line(self, number: int) -> str:
        """Line `number`, from 0, safe to show."""
        if self._seen is None:
            return self.file.line(number)
        if not 0 <= number < len(self):
            return ""
        part = self.parts[bisect_right(self.parts, number, key=lambda part: part.start) - 1]
        index = part.first + number - part.start
        return self.told[index] if part.told else self.file.line(index)

    def search(self, query: str) -> "RunLogSearch":
        """A search through all lines."""
        return RunLogSearch(self, query)

    def _lay_out(self) -> bool:
        """Number the lines that are there, once both sides have been read; whether that was done."""
        if self._seen is not None:
            self._seen, self.parts = None, []
            self.generation += 1
        if self.behind or not self.story.complete:
            return False
        self.told = self.story.lines
        told, printed = len(self.told), len(self.file)
        before = bisect_right(self.story.times, self._last_printed()) if printed else told
        self._seen = (self.file.generation, self.story.restarts)
        self.generation += 1
        self._append(before, told=True)
        self._append(printed, told=False)
        self._append(told, told=True)
        return True

    def _last_printed(self) -> float:
        try:
            return os.stat(self.path).st_mtime
        except OSError:
            return 0.0

    def _append(self, until: int, *, told: bool) -> None:
        """The lines of one side up to number `until` there, as far as they are not in yet, come next."""
        last = next((part for part in reversed(self.parts) if part.told is told), None)
        first = last.first + last.count if last is not None else 0
        if until <= first:
            return
        if last is not None and last is self.parts[-1]:
            self.parts[-1] = replace(last, count=until - last.first)
        else:
            self.parts.append(Part(told, len(self), first, until - first))


class RunLogSearch(LogSearch):
    """Lines of a `RunLog` that hold `query`, by their numbers there."""

    def __init__(self, log: RunLog, query: str) -> None:
        super().__init__(log.path, query)
        self._log = log
        self._printed = LogSearch(log.path, query)
        self._looked_through = 0

    def behind(self, log: Searched) -> bool:
        """Whether there are lines that were not looked through."""
        return self._printed.behind(log) or self._looked_through != len(log)

    def advance(self, cancelled: Callable[[], bool]) -> None:
        """Look through what is new, until its end or until `cancelled`."""
        parts, lines, total = tuple(self._log.parts), self._log.told, len(self._log)
        self._printed.advance(cancelled)
        self.offset = self._printed.offset
        if not parts:
            self.lines = array("Q", self._printed.lines)
        else:
            needle = self.query.lower()
            told = [number for number, line in enumerate(lines) if needle in line.lower()]
            found = (part.places(told if part.told else self._printed.lines) for part in parts)
            self.lines = array("Q", [place for places in found for place in places][:MOST_MATCHES])
        self._looked_through = total
