"""How far an attempt has come: its events, followed while they are written."""

from pathlib import Path
from typing import Any

from engine.rundir.events import complete_size, step_of
from engine.rundir.tail import Tail


class Progress:
    """Follows the events that come after its creation: those of attempts before do not count."""

    def __init__(self, path: Path) -> None:
        self.since = complete_size(path)
        """Offset in the file at which this attempt begins."""
        self.events = 0
        """Events seen."""
        self.step = 0
        self.total: int | None = None
        """Optimiser steps planned, once the training has started."""
        self.end: dict[str, Any] | None = None
        """The last `end` event."""
        self._tail = Tail(path, self.since)

    def update(self) -> None:
        """Take in the events that were written since the last call."""
        while batch := self._tail.read():
            for event in batch:
                self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        self.events += 1
        match event:
            case {"type": "step"}:
                self.step = step_of(event) or self.step
            case {"type": "resume", "from_step": int(step)}:
                self.step = step
            case {"type": "phase", "phase": "train", "total": int(total)}:
                self.total = total
            case {"type": "end"}:
                self.end = event
            case _:
                pass
