"""Fused linear + log-probability of the target: the LM head without ever holding all logits in fp32.

For scored rows h [N, H], head weight W [V, H] and targets y [N]::

    z = h W' ;  logp = z_y - log sum_v exp z_v                      forward
    dz = g (1[v = y] - exp(z - lse)) ;  dh = dz W ;  dW = dz' h      backward

Rows go through in tiles; what happens within a tile is a back end's business (`fold.py`). Three policies, by what the
backward pass finds, with G = 2 N H V the operations of one product:

* frozen head: the forward pass forms u = dz/dg W, the gradient for g = 1; backward is g u. 2 G, and N H numbers kept
* kept: the logits stay, in the computing type, and become their own gradient. 3 G, and N V numbers kept
* recomputed: where they do not fit the budget, once more, some of the vocabulary at a time. 4 G, and N numbers kept
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.kernels.fold import AS_THEY_ARE, EAGER, Fold, Folded, LogitShape, wide
from engine.kernels.tied import TiedGradient
from engine.memory import LOGITS_BUDGET, TILE_BYTES

LEAST_ROWS = 64
LEAST_COLUMNS = 512
"""A thinner product wastes the cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadOptions:
    """How a head is computed; none of it changes the result but for rounding."""

    shape: LogitShape = AS_THEY_ARE
    fold: Fold = EAGER
    budget: int = LOGITS_BUDGET
    stats: bool = False
    tied: TiedGradient | None = None
    """Where the weight's gradient is left for the embedding that has the same weight, instead of being handed on."""


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
    if not torch.is_grad_enabled():
        options = replace(options, budget=0)  # nobody will come back for them
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
        back = _from_kept if kept is not None else _recomputed
        needs: tuple[bool, bool, bool] = ctx.needs_input_grad[:3]
        of_hidden, of_weight, of_bias = back(
            hidden, weight, bias, targets, lse, kept, grads[0], ctx.options, needs
        )
        if ctx.options.tied is not None and of_weight is not None:
            ctx.options.tied.leave(of_weight)
            of_weight = None
        return of_hidden, of_weight, of_bias, None, None


Gradients = tuple[Tensor | None, Tensor | None, Tensor | None]
"""Of hidden states, weight and bias, each in its own type; None where not needed."""


def _from_kept(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    lse: Tensor,
    kept: Tensor,
    upstream: Tensor,
    options: HeadOptions,
    needs: tuple[bool, bool, bool],
) -> Gradients:
    """The kept logits turned into their own gradient; then two products."""
    for part in _tiles_of(hidden, weight):
        options.fold.slope_(kept[part], lse[part], targets[part], upstream[part], options.shape)
    return (
        kept @ weight if needs[0] else None,
        kept.t() @ hidden if needs[1] else None,
        _column_sums(kept, bias) if needs[2] else None,
    )


def _recomputed(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    lse: Tensor,
    kept: None,  # noqa: ARG001  (the other way has them)
    upstream: Tensor,
    options: HeadOptions,
    needs: tuple[bool, bool, bool],
) -> Gradients:
    """Some of the vocabulary at a time, for all rows: each part of the weight's gradient is one product, rounded once.

    Rows at a time would add up gradients of the whole weight in fp32: three times as long, and as large as its weights.
    """
    into = torch.zeros_like(hidden, dtype=wide(hidden.dtype)) if needs[0] else None
    of_weight = torch.empty_like(weight) if needs[1] else None
    of_bias = torch.empty_like(bias) if needs[2] and bias is not None else None
    parts = _columns_of(hidden, weight)
    tile = hidden.new_empty(len(hidden) * max((part.stop - part.start for part in parts), default=0))
    product = torch.empty_like(hidden) if needs[0] else None
    for part in parts:
        rows = weight[part]
        logits = tile[: len(hidden) * len(rows)].view(len(hidden), len(rows))
        project(hidden, rows, None if bias is None else bias[part], out=logits)
        options.fold.slope_(logits, lse, targets - part.start, upstream, options.shape)
        if into is not None and product is not None:
            into += torch.mm(logits, rows, out=product)
        if of_weight is not None:
            torch.mm(logits.t(), hidden, out=of_weight[part])
        if of_bias is not None and bias is not None:
            of_bias[part] = logits.sum(0, dtype=wide(logits.dtype))
    return None if into is None else into.to(hidden.dtype), of_weight, of_bias


def _column_sums(slopes: Tensor, bias: Tensor | None) -> Tensor | None:
    return None if bias is None else slopes.sum(0, dtype=wide(slopes.dtype)).to(bias.dtype)


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


def _columns_of(hidden: Tensor, weight: Tensor) -> list[slice]:
    """Parts of the vocabulary whose logits, of all rows, fit a tile; never under `LEAST_COLUMNS` but for the last."""
    tile = TILE_BYTES["cpu" if hidden.device.type == "cpu" else "cuda"]
    size = max(LEAST_COLUMNS, tile // max(1, hidden.element_size() * hidden.shape[0]))
    return [slice(start, min(start + size, len(weight))) for start in range(0, len(weight), size)]


def _tiles_of(hidden: Tensor, weight: Tensor) -> list[slice]:
    return tiles(hidden.shape[0], weight.shape[0], hidden.element_size(), hidden.device.type)
