"""AdamW on fp32 weights of which the model computes with the rounded upper halves, in one pass over memory.

An update reads and writes every trained weight's numbers and does little with them: what counts is how often they
travel. Clipping, moments and both halves of the weight in one pass are 26 bytes a weight, each of them alone is 60.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from engine.rounding import PERIOD, lower_half, parts, restore, thresholds, to_bfloat16

BETAS = (0.9, 0.999)
EPSILON = 1e-8
KINDS = 64
"""Kinds of parts that may each be compiled: by their dimensions, one row or more, where they begin, and types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One parameter as the update takes it, all of its shape and contiguous."""

    weight: Tensor  # fp32, or bf16: what the model computes with
    lower: Tensor | None  # int16, the lower half of a weight that is bf16: see `engine.rounding`
    average: Tensor  # fp32, of the gradient
    square: Tensor  # fp32, of its square
    grad: Tensor  # fp32, or bf16 as the backward pass left it


@torch.no_grad()
def update(trained: Trained, *, step: int, rate: float, decay: float, scale: float) -> None:
    """AdamW's update number `step` (from 1) of one parameter, its gradient times `scale`: arXiv:1711.05101."""
    numbers = torch.tensor(
        [rate / (1 - BETAS[0] ** step), (1 - BETAS[1] ** step) ** 0.5, 1 - rate * decay, scale],
        dtype=torch.float32,
        device=trained.weight.device,
    )
    for part, raised in _parts(trained):
        halves = () if part.lower is None else (part.lower, raised)
        _update()(part.weight, part.average, part.square, part.grad, numbers, *halves)


@torch.no_grad()
def update_by_torch(
    trained: Sequence[Trained], steps: Sequence[int], *, rate: float, decay: float, scale: float
) -> None:
    """The same of several parameters by torch's own fused AdamW, where nothing is compiled. Scales fp32 gradients."""
    settings = {"rate": rate, "decay": decay, "scale": scale}
    whole = [(one, step) for one, step in zip(trained, steps, strict=True) if one.lower is None]
    _by_torch(
        [one.weight for one, _ in whole], [one for one, _ in whole], [step for _, step in whole], **settings
    )
    for one, step in zip(trained, steps, strict=True):
        for part, _ in _parts(one) if one.lower is not None else ():
            assert part.lower is not None
            weight = restore(part.weight, part.lower)
            _by_torch([weight], [part], [step], **settings)
            part.weight.copy_(to_bfloat16(weight))
            part.lower.copy_(lower_half(weight))


def _by_torch(
    weights: list[Tensor],
    trained: Sequence[Trained],
    steps: Sequence[int],
    *,
    rate: float,
    decay: float,
    scale: float,
) -> None:
    """Of `weights`, fp32, that are those of `trained`."""
    if not weights:
        return
    adamw(
        weights,
        [one.grad.float().mul_(scale) for one in trained],
        [one.average for one in trained],
        [one.square for one in trained],
        [],
        [
            torch.tensor(step - 1.0, device=one.weight.device)
            for one, step in zip(trained, steps, strict=True)
        ],
        fused=True,
        amsgrad=False,
        beta1=BETAS[0],
        beta2=BETAS[1],
        lr=rate,
        weight_decay=decay,
        eps=EPSILON,
        maximize=False,
    )


def _parts(trained: Trained) -> Iterator[tuple[Trained, Tensor]]:
    """The parameter flat, cut where the rounding thresholds start anew, so that no compiled code looks them up.

    And into parts: what the code keeps of the new weights is then no matter of the embedding.
    """
    size = trained.weight.numel()
    whole = size // PERIOD * PERIOD
    raised = thresholds(trained.weight.device)
    for part in parts(whole, trained.weight.device):
        yield _cut(trained, part, (-1, PERIOD)), raised
    if size > whole:
        yield _cut(trained, slice(whole, size), (-1,)), raised[: size - whole]


def _cut(trained: Trained, part: slice, shape: tuple[int, ...]) -> Trained:
    def of(x: Tensor) -> Tensor:
        return x.view(-1)[part].view(shape)

    return Trained(
        weight=of(trained.weight),
        lower=None if trained.lower is None else of(trained.lower),
        average=of(trained.average),
        square=of(trained.square),
        grad=of(trained.grad),
    )


def formula(
    weight: Tensor,
    average: Tensor,
    square: Tensor,
    grad: Tensor,
    numbers: Tensor,
    lower: Tensor | None = None,
    raised: Tensor | None = None,
) -> None:
    """The eager twin: writes over weight, lower, average and square. `numbers`: rate, correction, shrink, scale."""
    rate, correction, shrink, scale = numbers.unbind()
    g = grad.float() * scale
    mean = average + (g - average) * (1 - BETAS[0])
    spread = square * BETAS[1] + g * g * (1 - BETAS[1])
    exact = weight if lower is None or raised is None else _joined(weight, lower, raised)
    new = exact * shrink - rate * mean / (spread.sqrt() / correction + EPSILON)
    average.copy_(mean)
    square.copy_(spread)
    if lower is None or raised is None:
        weight.copy_(new)
        return
    bits = new.view(torch.int32)
    lower.copy_(((bits << 16) >> 16).to(torch.int16))
    weight.copy_(((bits + raised) >> 16).to(torch.int16).view(torch.bfloat16))


def _joined(rounded: Tensor, lower: Tensor, raised: Tensor) -> Tensor:
    """`engine.rounding.restore`, of a part whose thresholds are `raised`."""
    dropped = lower.int() & (PERIOD - 1)
    upper = rounded.view(torch.int16).int() - ((dropped + raised) >> 16)
    return ((upper << 16) | dropped).view(torch.float32)


@cache
def _update() -> Callable[..., None]:
    """The formula compiled. Of more than 8 kinds torch would run some eagerly, those that happen to come last, and
    eager code rounds otherwise: a run that goes on meets them in another order.
    """
    settings = torch._dynamo.config
    settings.recompile_limit = max(settings.recompile_limit, KINDS)
    compiled: Callable[..., None] = torch.compile(formula, dynamic=True)
    return compiled
