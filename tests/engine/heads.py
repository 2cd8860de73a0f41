"""Heads to compute log-probabilities with, and the back ends that do it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.kernels.compiled import CompiledFold
from engine.kernels.fold import EagerFold, Fold, LogitShape
from engine.kernels.logprob import HeadOptions, eager_logprob, fused_logprob
from engine.kernels.triton_fold import TritonFold

FOLDS: dict[str, Fold] = {"eager": EagerFold(), "compiled": CompiledFold(), "triton": TritonFold()}
SHAPES = {
    "plain": LogitShape(),
    "scaled": LogitShape(scale=0.25),
    "capped": LogitShape(scale=0.5, softcap=3.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """hidden [N, H], weight [V, H], bias [V] or None, targets [N], and the gradient [N] of the log-probabilities."""

    hidden: Tensor
    weight: Tensor
    bias: Tensor | None
    targets: Tensor
    upstream: Tensor

    @property
    def leaves(self) -> list[Tensor]:
        return [x for x in (self.hidden, self.weight, self.bias) if x is not None]

    def to(self, dtype: torch.dtype) -> "Head":
        """The same numbers in another type, as leaves of their own."""
        hidden, weight = (x.detach().to(dtype).clone().requires_grad_() for x in (self.hidden, self.weight))
        bias = None if self.bias is None else self.bias.detach().to(dtype).clone().requires_grad_()
        return Head(hidden=hidden, weight=weight, bias=bias, targets=self.targets, upstream=self.upstream)


def make_head(
    rows: int = 150, hidden: int = 24, vocabulary: int = 301, *, bias: bool = False, size: float = 1.0
) -> Head:
    """Random numbers that bf16 holds exactly, so that all types start from the same."""
    g = torch.Generator().manual_seed(rows + vocabulary)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g).bfloat16().double()

    targets = torch.randint(0, vocabulary, (rows,), generator=g)
    targets[:1] = 0  # an id as any other
    return Head(
        hidden=draw(rows, hidden) * size,
        weight=draw(vocabulary, hidden),
        bias=draw(vocabulary) if bias else None,
        targets=targets,
        upstream=torch.linspace(-1, 1, rows),
    )


def fused(head: Head, options: HeadOptions) -> list[Tensor]:
    """Log-probabilities and the gradients of all leaves."""
    logp, _ = fused_logprob(head.hidden, head.weight, head.targets, head.bias, options)
    return [logp.detach(), *torch.autograd.grad(logp, head.leaves, head.upstream.to(logp.dtype))]


def expected(head: Head, shape: LogitShape) -> list[Tensor]:
    """The same by the formula."""
    logp = eager_logprob(head.hidden, head.weight, head.targets, head.bias, shape)
    return [logp.detach(), *torch.autograd.grad(logp, head.leaves, head.upstream.to(logp.dtype))]


def largest_logits(head: Head) -> Tensor:
    """[N] the largest magnitude among the logits of a row."""
    logits = torch.nn.functional.linear(head.hidden.double(), head.weight.double())
    if head.bias is not None:
        logits = logits + head.bias.double()
    return logits.detach().abs().amax(-1)
