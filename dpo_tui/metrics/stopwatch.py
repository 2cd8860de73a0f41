"""How long a run has trained, over all its attempts: the pauses between them are nobody's work."""

from collections.abc import Mapping
from typing import Any

from dpo_tui.metrics.phases import NESTED


class Stopwatch:
    """Told the phases, and the time of the events between them."""

    def __init__(self) -> None:
        self._before = 0.0
        self._since: float | None = None
        self._now: float | None = None

    def note(self, moment: float | None) -> None:
        """It is so late; an event without a time tells nothing."""
        self._now = self._now if moment is None else moment

    def take(self, event: Mapping[str, Any], moment: float | None) -> None:
        """Follow a `phase` event. One beside the training ends it, at the event before: it may have been killed."""
        name, state = event.get("phase"), event.get("state")
        if state == "start" and name not in NESTED:
            self._stop()
        self.note(moment)
        if name == "train" and state == "start":
            self._since = self._now
        elif name == "train" and state == "end":
            self._stop()

    def end(self, moment: float | None) -> None:
        """The attempt is over."""
        self.note(moment)
        self._stop()

    @property
    def seconds(self) -> float:
        """Seconds trained so far."""
        if self._since is None or self._now is None:
            return self._before
        return self._before + max(0.0, self._now - self._since)

    def _stop(self) -> None:
        self._before, self._since = self.seconds, None
