"""Those who look on while data is prepared: told how far it is, and asked whether to stop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from engine.exits import StopRequested

Progress: TypeAlias = Callable[[int, int | None], None]


def nobody(_done: int, _total: int | None) -> None:
    """Nobody is told."""


def never() -> bool:
    """Nobody asks to stop."""
    return False


@dataclass(frozen=True, slots=True)
class Watch:
    """progress gets the rows done and their number, which is None while the rows are only looked through."""

    progress: Progress = nobody
    should_stop: Callable[[], bool] = never

    def poll(self) -> None:
        """Raise `StopRequested` when asked to stop."""
        if self.should_stop():
            raise StopRequested("data.stopped", "Stopped while preparing the data, as asked.")

    def part(self, before: int, total: int | None = None) -> "Watch":
        """The same, for a part: so many rows are done before it, of `total` in all."""
        return Watch(lambda rows, _total: self.progress(before + rows, total), self.should_stop)
