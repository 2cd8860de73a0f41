"""What a run has done, as lines with the time of day: its own events, for the log on the screen."""

import time
from collections.abc import Iterable

from dpo_tui.metrics.phases import NESTED
from dpo_tui.sentences import Event, Sentences, last_word
from engine.rundir.files import number
from engine.rundir.paths import RunDir
from engine.sanitize import brief, visible

_MOST_LINES = 8
"""Lines shown of one event: a crash's reason may hold a page."""


class RunStory:
    """Takes the events in the order of the file. `lines` only grow, but for a file that begins anew."""

    def __init__(self, run: RunDir) -> None:
        self._root = f"{run.root}/"
        self.complete = False
        """Whether all that was there at first has been taken."""
        self.restarts = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything: the file started anew."""
        self.restarts += 1
        self.lines: list[str] = []
        self.times: list[float] = []
        self._sentences = Sentences(self._moment)
        self._now = 0.0

    def take(self, events: Iterable[Event]) -> None:
        """Add what is worth a line."""
        for event in events:
            self._now = self._moment(event)
            if event["type"] == "end":
                self._add(last_word(event))
            elif event["type"] != "phase" or event.get("phase") not in NESTED:
                self._add(self._sentences.of(self._short(event)) or "")

    def note(self, text: str, moment: float) -> None:
        """Add what no event tells."""
        self._now = max(self._now, moment)
        self._add(text)

    def _short(self, event: Event) -> Event:
        """With the path of a checkpoint as it is within the run: a screen is not as wide as a file."""
        path = event.get("path")
        if event["type"] != "save" or not isinstance(path, str):
            return event
        return {**event, "path": path.removeprefix(self._root)}

    def _moment(self, event: Event) -> float:
        told = number(event.get("time"))
        return self._now if told is None else told

    def _add(self, text: str) -> None:
        stamp = _time_of_day(self._now)
        for line in brief(visible(text)).splitlines()[:_MOST_LINES]:
            self.lines.append(f"{stamp}  {line}")
            self.times.append(self._now)
            stamp = " " * len(stamp)


def _time_of_day(moment: float) -> str:
    try:
        return time.strftime("%H:%M:%S", time.localtime(moment))
    except (OverflowError, ValueError, OSError):  # a time that no clock has shown
        return "--:--:--"
