"""Fused linear + log-probability of the target: the LM head without ever holding all logits in fp32.

For scored rows h [N, H], head weight W [V, H] and targets y [N]::

    z = h W' ;  logp = z_y - log sum_v exp z_v                      forward
    dz = g (1[v = y] - exp(z - lse)) ;  dh = dz W ;  dW = dz' h      backward

Rows go through in tiles; what happens within a tile is a back end's business (`fold.py`). Three policies, by what the
backward pass finds, with G = 2 N H V the operations of one product:

* frozen head: the forward pass forms u = dz/dg W, the gradient for g = 1; backward is g u. 2 G, and N H numbers kept
* kept: the logits stay, in the computing type, and become their own gradient. 3 G, and N V numbers kept
* recomputed: where they do not fit the budget, tile by tile once more. 4 G, and N numbers kept
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.kernels.fold import AS_THEY_ARE, EAGER, Fold, Folded, LogitShape, wide
from engine.memory import LOGITS_BUDGET, TILE_BYTES

LEAST_ROWS = 64
"""A thinner product wastes the cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadOptions:
    """How a head is computed; none of it changes the result but for rounding."""

    shape: LogitShape = AS_THEY_ARE
    fold: Fold = EAGER
    budget: int = LOGITS_BUDGET
    stats: bool = False


DEFAULTS = HeadOptions()


class RowStats(NamedTuple):
    """What is told of the rows, without a gradient: each [N], or empty where not asked for."""

    entropy: Tensor
    top: Tensor


def fused_logprob(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    bias: Tensor | None = None,
    options: HeadOptions = DEFAULTS,
) -> tuple[Tensor, RowStats]:
    """fp32 [N]: the log-probability of `targets` [N] under the head `weight` [V, H] at `hidden` [N, H].

    With `options.stats` also the entropy of each row and whether its target is the likeliest token.
    """
    function = _Frozen if _is_frozen(weight, bias) else _Trained
    logp, entropy, top = function.apply(hidden, weight, bias, targets, options)  # type: ignore[no-untyped-call]
    return logp, RowStats(entropy, top)


def eager_logprob(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    bias: Tensor | None = None,
    shape: LogitShape = AS_THEY_ARE,
) -> Tensor:
    """The twin of `fused_logprob`, as the formula: log_softmax of all logits, then the targets."""
    scores = torch.nn.functional.linear(hidden, weight, bias).to(wide(hidden.dtype)) * shape.scale
    if shape.softcap is not None:
        scores = shape.softcap * torch.tanh(scores / shape.softcap)
    return scores.log_softmax(-1).gather(1, targets[:, None])[:, 0]


def tiles(rows: int, vocabulary: int, itemsize: int, device: str) -> list[slice]:
    """Row ranges whose logits fit a tile, never under `LEAST_ROWS` but for the last."""
    size = max(LEAST_ROWS, TILE_BYTES["cpu" if device == "cpu" else "cuda"] // (itemsize * vocabulary))
    count = max(1, -(-rows // size))
    even = -(-rows // count)  # no thin last tile
    return [slice(start, min(start + even, rows)) for start in range(0, rows, max(1, even))]


def _is_frozen(weight: Tensor, bias: Tensor | None) -> bool:
    return not (weight.requires_grad or (bias is not None and bias.requires_grad))


class _Columns:
    """The results of all rows [N], filled tile by tile."""

    def __init__(self, hidden: Tensor, stats: bool) -> None:
        rows = hidden.shape[0]
        told = rows if stats else 0
        lse, picked = (hidden.new_empty(rows, dtype=wide(hidden.dtype)) for _ in range(2))
        self.all = Folded(lse, picked, lse.new_empty(told), lse.new_empty(told))

    def put(self, part: slice, folded: Folded) -> None:
        for column, values in zip(self.all, folded, strict=True):
            if len(column):
                column[part] = values

    @property
    def logp(self) -> Tensor:
        return self.all.picked - self.all.lse


class _Trained(torch.autograd.Function):
    """The head as a function of hidden states, weight and bias: logits kept or recomputed."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        options: HeadOptions,
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows, vocabulary = hidden.shape[0], weight.shape[0]
        size = rows * vocabulary * hidden.element_size()
        keep = size <= options.budget and any(ctx.needs_input_grad)
        kept = hidden.new_empty(rows, vocabulary) if keep else None
        columns = _Columns(hidden, options.stats)
        for part in _tiles_of(hidden, weight):
            logits = project(hidden[part], weight, bias, out=None if kept is None else kept[part])
            columns.put(part, options.fold.fold(logits, targets[part], options.shape, options.stats))
        ctx.save_for_backward(hidden, weight, bias, targets, columns.all.lse, kept)
        ctx.options = options
        ctx.mark_non_differentiable(columns.all.entropy, columns.all.top)
        return columns.logp, columns.all.entropy, columns.all.top

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, targets, lse, kept = ctx.saved_tensors
        options: HeadOptions = ctx.options
        need_hidden, need_weight, need_bias = ctx.needs_input_grad[:3]
        sums = _Gradients(hidden, weight, bias, need_hidden, need_weight and kept is None, need_bias)
        for part in _tiles_of(hidden, weight):
            logits = kept[part] if kept is not None else project(hidden[part], weight, bias)
            options.fold.slope_(logits, lse[part], targets[part], grads[0][part], options.shape)
            sums.add(part, logits)
        if need_weight and kept is not None:  # one product, one rounding
            sums.weight = kept.t() @ hidden
        return sums.hidden, _like(sums.weight, weight), _like(sums.bias, bias), None, None


class _Gradients:
    """Gradients of the head's inputs, summed over tiles; those of weight and bias wide."""

    def __init__(
        self,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        need_hidden: bool,
        need_weight: bool,
        need_bias: bool,
    ) -> None:
        dtype = wide(hidden.dtype)
        self._inputs, self._head = hidden, weight
        self.hidden = torch.empty_like(hidden) if need_hidden else None
        self.weight = torch.zeros_like(weight, dtype=dtype) if need_weight else None
        self.bias = torch.zeros_like(bias, dtype=dtype) if need_bias and bias is not None else None

    def add(self, part: slice, slope: Tensor) -> None:
        """Take in the gradient `slope` [n, V] of a tile's logits."""
        if self.hidden is not None:
            torch.mm(slope, self._head, out=self.hidden[part])
        if self.bias is not None:
            self.bias += slope.sum(0, dtype=self.bias.dtype)
        if self.weight is not None:
            self.weight += slope.t() @ self._inputs[part]


class _Frozen(torch.autograd.Function):
    """The head as a function of hidden states alone: nothing of the size of the vocabulary outlives the forward."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        options: HeadOptions,
    ) -> tuple[Tensor, Tensor, Tensor]:
        columns = _Columns(hidden, options.stats)
        slopes = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        ones = hidden.new_ones(hidden.shape[0], dtype=wide(hidden.dtype))
        for part in _tiles_of(hidden, weight):
            logits = project(hidden[part], weight, bias)
            folded = options.fold.fold(logits, targets[part], options.shape, options.stats)
            columns.put(part, folded)
            if slopes is not None:
                options.fold.slope_(logits, folded.lse, targets[part], ones[part], options.shape)
                torch.mm(logits, weight, out=slopes[part])
        ctx.save_for_backward(slopes)
        ctx.mark_non_differentiable(columns.all.entropy, columns.all.top)
        return columns.logp, columns.all.entropy, columns.all.top

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors
        return (slopes * grads[0][:, None]).to(slopes.dtype), None, None, None, None


def project(hidden: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor | None = None) -> Tensor:
    """Logits [n, V] of `hidden` [n, H], into `out` where it is given."""
    logits = torch.mm(hidden, weight.t(), out=out) if out is not None else hidden @ weight.t()
    return logits if bias is None else logits.add_(bias)


def _tiles_of(hidden: Tensor, weight: Tensor) -> list[slice]:
    return tiles(hidden.shape[0], weight.shape[0], hidden.element_size(), hidden.device.type)


def _like(grad: Tensor | None, parameter: Tensor | None) -> Tensor | None:
    return None if grad is None or parameter is None else grad.to(parameter.dtype)
