"""Fused linear + log-probability of the target: the LM head without ever holding all logits in fp32.

For scored rows h [N, H], head weight W [V, H] and targets y [N]::

    z = h W' ;  logp = z_y - log sum_v exp z_v                      forward
    dz = g (1[v = y] - exp(z - lse)) ;  dh = dz W ;  dW = dz' h      backward

Rows go through in chunks. Logits are kept in the computing type when they fit `LOGITS_BUDGET` (three matrix products
in all), else computed again in the backward pass (four). log-sum-exp and the result are fp32 whatever the type.
"""

from typing import Any

import torch
from torch import Tensor

LOGITS_BUDGET = 1 << 30  # bytes of logits kept between forward and backward
CHUNK_BYTES = 32 << 20  # fp32 working set of one chunk of rows


class _LinearLogprob(torch.autograd.Function):
    """`linear_logprob` with its backward pass written out."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor) -> Tensor:
        rows, vocabulary = hidden.shape[0], weight.shape[0]
        keep = rows * vocabulary * hidden.element_size() <= LOGITS_BUDGET and any(ctx.needs_input_grad)
        kept = hidden.new_empty(rows, vocabulary) if keep else None
        lse = hidden.new_empty(rows, dtype=torch.float32)
        picked = torch.empty_like(lse)
        for part in _chunks(rows, vocabulary):
            logits = _project(hidden[part], weight, bias, out=None if kept is None else kept[part])
            wide = logits.float()
            lse[part] = wide.logsumexp(-1)
            picked[part] = wide.gather(1, targets[part, None])[:, 0]
        ctx.save_for_backward(hidden, weight, bias, targets, lse, kept)
        return picked - lse

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        hidden, weight, bias, targets, lse, kept = ctx.saved_tensors
        need_hidden, need_weight, need_bias, _ = ctx.needs_input_grad
        grad_hidden = torch.empty_like(hidden) if need_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if need_weight else None
        grad_bias = torch.zeros(weight.shape[0], device=weight.device) if need_bias else None
        whole = kept is not None
        for part in _chunks(hidden.shape[0], weight.shape[0]):
            logits = kept[part] if whole else _project(hidden[part], weight, bias)
            slope = _logit_gradient(logits, lse[part], targets[part], grads[0][part])
            if grad_hidden is not None:
                grad_hidden[part] = slope @ weight
            if grad_bias is not None:
                grad_bias += slope.sum(0, dtype=torch.float32)
            if whole:
                kept[part] = slope  # the logits are not needed again: one product for the whole weight below
            elif grad_weight is not None:
                grad_weight += slope.t() @ hidden[part]
        if grad_weight is not None and whole:
            grad_weight = kept.t() @ hidden
        return grad_hidden, _like(grad_weight, weight), _like(grad_bias, bias), None


def linear_logprob(hidden: Tensor, weight: Tensor, targets: Tensor, bias: Tensor | None = None) -> Tensor:
    """fp32 [N]: the log-probability of `targets` [N] under the head `weight` [V, H] at `hidden` [N, H]."""
    out = _LinearLogprob.apply(hidden, weight, bias, targets)  # type: ignore[no-untyped-call]
    assert isinstance(out, Tensor)
    return out


def linear_logprob_eager(
    hidden: Tensor, weight: Tensor, targets: Tensor, bias: Tensor | None = None
) -> Tensor:
    """The twin of `linear_logprob`, as the formula: log_softmax of all logits, then the targets."""
    logits = torch.nn.functional.linear(hidden, weight, bias).float()
    return logits.log_softmax(-1).gather(1, targets[:, None])[:, 0]


def _chunks(rows: int, vocabulary: int) -> list[slice]:
    """Row ranges whose fp32 logits fit `CHUNK_BYTES`, never under 64 rows: a thin product wastes the cores."""
    size = max(64, CHUNK_BYTES // (4 * vocabulary))
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def _project(hidden: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor | None = None) -> Tensor:
    logits = torch.mm(hidden, weight.t(), out=out) if out is not None else hidden @ weight.t()
    return logits if bias is None else logits.add_(bias)


def _logit_gradient(logits: Tensor, lse: Tensor, targets: Tensor, upstream: Tensor) -> Tensor:
    """d logits [n, V] in the type of the logits, formed in fp32."""
    slope = logits.float().sub_(lse[:, None]).exp_().mul_(-upstream[:, None])
    slope.scatter_add_(1, targets[:, None], upstream[:, None])
    return slope.to(logits.dtype)


def _like(grad: Tensor | None, parameter: Tensor | None) -> Tensor | None:
    return None if grad is None or parameter is None else grad.to(parameter.dtype)
