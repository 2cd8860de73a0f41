"""The named parts of an export, told as they begin and end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

Stage = Literal["checkpoint", "policy", "write", "proof", "push", "answers"]
State = Literal["start", "end"]
Tell: TypeAlias = Callable[[Stage, State], None]

STAGES: tuple[Stage, ...] = ("checkpoint", "policy", "write", "proof", "push")
"""In order. An export may do without the last ones; answers come after it."""


def nobody(_stage: Stage, _state: State) -> None:
    """Nobody is told."""


@contextmanager
def stage(tell: Tell, name: Stage) -> Iterator[None]:
    """One part; of one that fails there is no end to tell."""
    tell(name, "start")
    yield
    tell(name, "end")


def counted(progress: Callable[[int, int], None]) -> Tell:
    """Tells the stages that are done as a number, of all that there are."""

    def tell(name: Stage, state: State) -> None:
        if state == "end":
            progress(STAGES.index(name) + 1, len(STAGES))

    return tell
