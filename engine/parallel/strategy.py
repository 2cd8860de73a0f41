"""How the weights, gradients and moments of a training lie on its devices: what the trainer asks of each way."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from torch import Tensor

from engine.layout import PackLayout
from engine.stored import Stored


class Strategy(Protocol):
    """One way. Its methods are called by all processes alike, but for those that say otherwise."""

    lockstep: bool
    """Whether a pass is a joint one: a process with nothing to compute must take part all the same."""

    @property
    def size(self) -> int:
        """How many weights are trained."""
        ...

    @property
    def forward(self) -> Callable[[PackLayout], Tensor]:
        """The policy as gradients have to go through it."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss`, this process's share of the step's mean loss."""
        ...

    def update(self, rate: float) -> float:
        """One AdamW update at learning rate `rate` by the step's gradients; returns their L2 norm before clipping.

        A norm that is not finite leaves the weights as they were. The gradients are gone in any case.
        """
        ...

    def rehearse(self, *, several_packs: bool) -> None:
        """Run what an update runs and change nothing, so that all of it is compiled before the first step.

        `several_packs`: a step may have more than one, whose gradients are summed.
        """
        ...

    def recover(self) -> None:
        """Leave things as they are between passes, after one without gradients that raised in all processes."""
        ...

    def drop_gradients(self) -> None:
        """Forget the gradients of a step that will not be taken."""
        ...

    def save(self, folder: Path) -> None:
        """Write the state into a folder that is there: each process its own files. Raises CannotWriteError."""
        ...

    def load(self, stored: Stored) -> None:
        """Put a state back, whichever way and however many processes wrote it."""
        ...
