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
        lse, picked = _fold()(logits, targets, shape.scale, shape.softcap)
        if not stats:
            return Folded(lse, picked, lse.new_empty(0), lse.new_empty(0))
        return Folded(lse, picked, *_spread()(logits, lse, picked, shape.scale, shape.softcap))

    def slope_(
        self, logits: Tensor, lse: Tensor, targets: Tensor, upstream: Tensor, shape: LogitShape
    ) -> None:
        """As `Fold.slope_`."""
        _slope()(logits, lse, targets, upstream, shape.scale, shape.softcap)


@cache
def _fold() -> Callable[..., tuple[Tensor, Tensor]]:
    def run(logits: Tensor, targets: Tensor, scale: float, softcap: float | None) -> tuple[Tensor, Tensor]:
        folded = fold.fold(logits, targets, LogitShape(scale, softcap), False)
        return folded.lse, folded.picked

    compiled: Callable[..., tuple[Tensor, Tensor]] = torch.compile(run, dynamic=True)
    return compiled


@cache
def _spread() -> Callable[..., tuple[Tensor, Tensor]]:
    def run(
        logits: Tensor, lse: Tensor, picked: Tensor, scale: float, softcap: float | None
    ) -> tuple[Tensor, Tensor]:
        return fold.spread(logits, lse, picked, LogitShape(scale, softcap))

    compiled: Callable[..., tuple[Tensor, Tensor]] = torch.compile(run, dynamic=True)
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
