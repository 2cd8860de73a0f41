"""The phases a run goes through, as far as its events tell."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dpo_tui.metrics.scalars import whole

NESTED = frozenset({"compile", "eval", "save"})
"""Phases within the training, which come again and again."""

MAX_PHASES = 32
"""Names kept: a file that makes up a phase for every event shall not fill the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A part of the run; times are Unix seconds."""

    name: str
    """download, tokenize, reference, compile, train, eval, save, export; or one of a later version."""
    state: str
    """start, progress or end."""
    done: int | None = None
    total: int | None = None
    started: float | None = None
    ended: float | None = None

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.state != "end"

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it goes on."""
        return None if self.ended is None or self.started is None else max(0.0, self.ended - self.started)


class Phases:
    """One entry a name, in order of appearance. An outer phase that starts again begins a new attempt."""

    def __init__(self) -> None:
        self._known: dict[str, Phase] = {}
        self._open: list[str] = []

    def listed(self) -> list[Phase]:
        """All phases of this attempt."""
        return list(self._known.values())

    def get(self, name: str) -> Phase | None:
        """The phase of this name, if it has been met."""
        return self._known.get(name)

    @property
    def current(self) -> Phase | None:
        """The innermost one that goes on."""
        return self._known[self._open[-1]] if self._open else None

    def take(self, event: Mapping[str, Any], moment: float | None) -> None:
        """Follow a `phase` event."""
        name, state = event.get("phase"), event.get("state")
        if not isinstance(name, str) or state not in ("start", "progress", "end"):
            return
        if state == "start" or name not in self._known:
            self._start(name, moment)
        if name not in self._known:
            return
        before, done, total = self._known[name], whole(event.get("done")), whole(event.get("total"))
        self._known[name] = replace(
            before,
            state=state,
            done=before.done if done is None else done,
            total=before.total if total is None else total,
        )
        if state == "end":
            self._end(name, moment)
        elif name not in self._open:
            self._open.append(name)

    def end(self, moment: float | None) -> None:
        """The attempt is over, and with it whatever went on."""
        for name in list(self._open):
            self._end(name, moment)

    def _start(self, name: str, moment: float | None) -> None:
        if name not in NESTED:
            self.end(moment)
            if name in self._known:
                self._forget_from(name)
        if name in self._known or len(self._known) < MAX_PHASES:
            self._known[name] = Phase(name=name, state="start", started=moment)
            self._open = [*(other for other in self._open if other != name), name]

    def _forget_from(self, name: str) -> None:
        names = list(self._known)
        for later in names[names.index(name) :]:
            del self._known[later]

    def _end(self, name: str, moment: float | None) -> None:
        self._known[name] = replace(self._known[name], state="end", ended=moment)
        self._open = [other for other in self._open if other != name]
