"""The fold compiled by inductor: the eager twin's own functions, each fused to one pass over the tile.

Measured on two cores with AVX-512: a tenth of the eager time. It needs a C++ compiler on a CPU; `compiler_problem` says
why there is none to be had.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from engine.kernels import fold
from engine.kernels.fold import Folded, LogitShape


class CompiledFold:
    """The eager fold, compiled once for all numbers of rows."""

    def fold(self, logits: Tensor, targets: Tensor, shape: LogitShape, stats: bool) -> Folded:
        """As `Fold.fold`."""
        return Folded(*_fold()(logits, targets, shape.scale, shape.softcap, stats))

    def slope_(
        self, logits: Tensor, lse: Tensor, targets: Tensor, upstream: Tensor, shape: LogitShape
    ) -> None:
        """As `Fold.slope_`."""
        _slope()(logits, lse, targets, upstream, shape.scale, shape.softcap)


@cache
def _fold() -> Callable[..., tuple[Tensor, ...]]:
    def run(
        logits: Tensor, targets: Tensor, scale: float, softcap: float | None, stats: bool
    ) -> tuple[Tensor, ...]:
        return tuple(fold.fold(logits, targets, LogitShape(scale, softcap), stats))

    compiled: Callable[..., tuple[Tensor, ...]] = torch.compile(run, dynamic=True)
    return compiled


@cache
def _slope() -> Callable[..., None]:
    def run(
        logits: Tensor,
        lse: Tensor,
        targets: Tensor,
        upstream: Tensor,
        scale: float,
        softcap: float | None,
    ) -> None:
        logits.copy_(fold.slope(logits, lse, targets, upstream, LogitShape(scale, softcap)))

    compiled: Callable[..., None] = torch.compile(run, dynamic=True)
    return compiled


@cache
def compiler_problem() -> str | None:
    """Why nothing can be compiled on this machine, in a line; None if it can. Compiles a trivial function to know."""
    try:
        torch.compile(lambda x: x + 1, dynamic=True)(torch.zeros(4))
    except Exception as error:  # whatever a tool chain can fail with
        first, *_ = str(error).strip().splitlines() or [""]
        return f"{type(error).__name__}: {first}"
    return None
