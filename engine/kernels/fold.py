"""What a head does with a tile of logits: fold each row to two numbers, and turn the tile into its own gradient.

For logits z [n, V] as the matrix product leaves them, shaped by a model's `scale` and `softcap`::

    s = scale z, or softcap tanh(scale z / softcap)
    lse = log sum_v exp s_v ;  picked = s_y                            fold
    dz  = g (1[v = y] - exp(s - lse)) ds/dz                            slope

All arithmetic is in fp32 (fp64 for fp64 logits), whatever the type of the tile. This file is the eager twin; the same
functions compiled are in `compiled.py`, the CUDA kernels in `triton_fold.py`.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class LogitShape:
    """What a model does to its logits before the softmax."""

    scale: float = 1.0
    softcap: float | None = None


AS_THEY_ARE = LogitShape()


class Folded(NamedTuple):
    """Each [n]. The last two only where they were asked for, else empty."""

    lse: Tensor
    picked: Tensor
    entropy: Tensor
    """Of the distribution, in nats."""
    top: Tensor
    """1 where no token is likelier than the target, else 0."""


class Fold(Protocol):
    """A back end. `logits` [n, V] are contiguous, `targets` [n] int64."""

    def fold(self, logits: Tensor, targets: Tensor, shape: LogitShape, stats: bool) -> Folded:
        """Log-sum-exp and target score of each row, and with `stats` its entropy and whether the target is on top."""
        ...

    def slope_(
        self, logits: Tensor, lse: Tensor, targets: Tensor, upstream: Tensor, shape: LogitShape
    ) -> None:
        """Write over `logits` their gradient, for the gradient `upstream` [n] of the log-probabilities."""
        ...


def wide(dtype: torch.dtype) -> torch.dtype:
    """The type that sums over a vocabulary are formed in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def shaped(logits: Tensor, shape: LogitShape) -> Tensor:
    """The scores [n, V] that the softmax is of, wide."""
    scores = logits.to(wide(logits.dtype))
    if shape.scale != 1.0:
        scores = scores * shape.scale
    if shape.softcap is not None:
        scores = shape.softcap * torch.tanh(scores / shape.softcap)
    return scores


def fold(logits: Tensor, targets: Tensor, shape: LogitShape, stats: bool) -> Folded:
    """As `Fold.fold`, in torch's own operations."""
    scores = shaped(logits, shape)
    lse = scores.logsumexp(-1)
    picked = scores.gather(1, targets[:, None])[:, 0]
    if not stats:
        return Folded(lse, picked, lse.new_empty(0), lse.new_empty(0))
    return Folded(lse, picked, *spread(logits, lse, picked, shape))


def spread(logits: Tensor, lse: Tensor, picked: Tensor, shape: LogitShape) -> tuple[Tensor, Tensor]:
    """Entropy and top of each row, by themselves: asking for them must not change how `fold` rounds."""
    scores = shaped(logits, shape)
    expected = (torch.exp(scores - lse[:, None]) * scores).sum(-1)
    return lse - expected, (picked >= scores.amax(-1)).to(lse.dtype)


def slope(logits: Tensor, lse: Tensor, targets: Tensor, upstream: Tensor, shape: LogitShape) -> Tensor:
    """[n, V] in the type of `logits`: their gradient, formed wide and rounded once."""
    scores = shaped(logits, shape)
    hit = torch.arange(logits.shape[1], device=logits.device)[None, :] == targets[:, None]
    grad = upstream[:, None] * (hit.to(scores.dtype) - torch.exp(scores - lse[:, None]))
    if shape.softcap is not None:
        grad = grad * (1 - (scores / shape.softcap).square())
    if shape.scale != 1.0:
        grad = grad * shape.scale
    return grad.to(logits.dtype)


class EagerFold:
    """The eager twin as a back end: right everywhere, and slow, since every operation goes through memory."""

    def fold(self, logits: Tensor, targets: Tensor, shape: LogitShape, stats: bool) -> Folded:
        """As `Fold.fold`."""
        return fold(logits, targets, shape, stats)

    def slope_(
        self, logits: Tensor, lse: Tensor, targets: Tensor, upstream: Tensor, shape: LogitShape
    ) -> None:
        """As `Fold.slope_`."""
        logits.copy_(slope(logits, lse, targets, upstream, shape))


EAGER = EagerFold()
