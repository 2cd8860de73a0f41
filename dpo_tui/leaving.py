"""What goes on after the app is left, and how to come back to it."""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from dpo_tui.text import t
from engine.rundir.paths import RunDir
from engine.sanitize import one_line


@dataclass(frozen=True, slots=True)
class Farewell:
    """A run that goes on, or that saves a checkpoint and stops."""

    root: Path
    stopping: bool

    def text(self) -> str:
        """One line for the terminal."""
        key = "app.farewell.stopping" if self.stopping else "app.farewell.training"
        return t(key, name=one_line(RunDir(self.root).name), command=attach_command(self.root))


@runtime_checkable
class Unsaved(Protocol):
    """A screen that may hold what nobody has saved."""

    @property
    def unsaved(self) -> bool:
        """Whether leaving would lose something."""

    def ask_to_leave(self, then: Callable[[], object]) -> None:
        """Ask what becomes of it; `then` goes, unless somebody wants to stay."""


def attach_command(root: Path) -> str:
    """What to type to see the run again, from any directory."""
    return f"dpo-tui attach {shlex.quote(str(root))}"


def live_among(roots: Iterable[Path]) -> list[Path]:
    """Those whose training goes on now, each once, in order."""
    from dpo_tui.runs import effective_state

    return [root for root in dict.fromkeys(roots) if not effective_state(RunDir(root)).final]
