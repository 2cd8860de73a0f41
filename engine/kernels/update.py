"""AdamW and the rounding of the new weights, compiled into one pass over memory.

An update reads and writes every trained weight's four numbers and does little with them: what counts is how often they
travel. Clipping, moments, weight and its rounded copy in one pass are 28 bytes a weight, each of them alone is 60.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from engine.rounding import PERIOD, thresholds

BETAS = (0.9, 0.999)
EPSILON = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One parameter as the update takes it, all of its shape and contiguous."""

    weight: Tensor  # fp32
    average: Tensor  # fp32, of the gradient
    square: Tensor  # fp32, of its square
    grad: Tensor  # fp32, or bf16 as the backward pass left it
    copy: Tensor | None  # bf16, what the model computes with; None where it computes with `weight`


@torch.no_grad()
def update(trained: Trained, *, step: int, rate: float, decay: float, scale: float) -> None:
    """AdamW's update number `step` (from 1) of one parameter, its gradient times `scale`: arXiv:1711.05101.

    The copy is rounded by `engine.rounding`: exactly what `to_bfloat16` makes of the new weight.
    """
    numbers = torch.tensor(
        [rate / (1 - BETAS[0] ** step), (1 - BETAS[1] ** step) ** 0.5, 1 - rate * decay, scale],
        dtype=torch.float32,
        device=trained.weight.device,
    )
    for part, raised in _parts(trained):
        copy = () if part.copy is None else (part.copy, raised)
        _update()(part.weight, part.average, part.square, part.grad, numbers, *copy)


def _parts(trained: Trained) -> Iterator[tuple[Trained, Tensor]]:
    """The parameter flat, cut where the rounding thresholds start anew, so that no compiled code looks them up."""
    size = trained.weight.numel()
    whole = size // PERIOD * PERIOD
    raised = thresholds(trained.weight.device)
    if whole:
        yield _cut(trained, slice(0, whole), (-1, PERIOD)), raised
    if size > whole:
        yield _cut(trained, slice(whole, size), (-1,)), raised[: size - whole]


def _cut(trained: Trained, part: slice, shape: tuple[int, ...]) -> Trained:
    def of(x: Tensor) -> Tensor:
        return x.view(-1)[part].view(shape)

    return Trained(
        weight=of(trained.weight),
        average=of(trained.average),
        square=of(trained.square),
        grad=of(trained.grad),
        copy=None if trained.copy is None else of(trained.copy),
    )


def formula(
    weight: Tensor,
    average: Tensor,
    square: Tensor,
    grad: Tensor,
    numbers: Tensor,
    copy: Tensor | None = None,
    raised: Tensor | None = None,
) -> None:
    """The eager twin: writes over weight, average, square and copy. `numbers`: rate, correction, shrink, scale."""
    rate, correction, shrink, scale = numbers.unbind()
    g = grad.float() * scale
    mean = average + (g - average) * (1 - BETAS[0])
    spread = square * BETAS[1] + g * g * (1 - BETAS[1])
    new = weight * shrink - rate * mean / (spread.sqrt() / correction + EPSILON)
    average.copy_(mean)
    square.copy_(spread)
    weight.copy_(new)
    if copy is not None and raised is not None:
        bits = new.view(torch.int32) + raised
        copy.copy_((bits >> 16).to(torch.int16).view(torch.bfloat16))


@cache
def _update() -> Callable[..., None]:
    compiled: Callable[..., None] = torch.compile(formula, dynamic=True)
    return compiled
