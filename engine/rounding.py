"""fp32 weights as bf16, so that a weight moves when its fp32 value does.

Rounding to the nearest bf16 has a dead zone: a weight of 0.15 stays where it is until training has moved it by 0.0005,
and DPO moves weights by millionths a step. Weights that lie half way between two bf16 numbers, as one in twelve of a
dequantised GGUF does, jump by a whole step at the first touch instead. So every weight has a rounding threshold of its
own, fixed for good and spread evenly over the weights of a tensor: of many weights that move by a tenth of a bf16
step, a tenth move by one. A weight that is a bf16 number already stays as it is.

What is dropped is not lost: with the lower half of its bits beside it, a rounded weight is the fp32 weight again, for
its threshold tells whether it was raised. So a model that computes in bf16 holds its fp32 weights in 4 bytes, not 6.
"""

from collections.abc import Iterator
from functools import lru_cache

import torch
from torch import Tensor

from engine.memory import UPDATED

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
"""The types of weights by their names in a config."""

VERSION = 1  # of the thresholds: other ones are other numerics
PERIOD = 1 << 16
"""One threshold for each value of the 16 bits that bf16 drops; then they start anew."""


def to_dtype(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """`weight` in `dtype`; fp32 to bf16 by `to_bfloat16`, all else as torch does it."""
    narrow = weight.dtype == torch.float32 and dtype == torch.bfloat16
    return to_bfloat16(weight) if narrow else weight.to(dtype)


@torch.no_grad()
def to_bfloat16(weight: Tensor, start: int = 0) -> Tensor:
    """Round fp32 to bf16, each weight at its own threshold: the same for the same position, on any device.

    For a part of a tensor, `start` is where in the tensor, laid out flat, it begins.
    """
    assert weight.dtype == torch.float32
    bits = weight.detach().contiguous().view(torch.int32).flatten()
    rounded = torch.empty(bits.shape, dtype=torch.int16, device=bits.device)
    for part in parts(len(bits), bits.device):
        raised = _raised(bits[part], start)
        rounded[part] = raised.bitwise_right_shift_(16)
    return rounded.view(torch.bfloat16).view(weight.shape)


@torch.no_grad()
def lower_half(weight: Tensor) -> Tensor:
    """int16, of `weight`'s shape: the bits of fp32 numbers that bf16 has no room for; zeros of bf16 numbers."""
    if weight.dtype == torch.bfloat16:
        return torch.zeros(weight.shape, dtype=torch.int16, device=weight.device)
    bits = weight.detach().contiguous().view(torch.int32).flatten()
    lower = torch.empty(bits.shape, dtype=torch.int16, device=bits.device)
    for part in parts(len(bits), bits.device):
        lower[part] = bits[part].bitwise_left_shift(16).bitwise_right_shift_(16)
    return lower.view(weight.shape)


@torch.no_grad()
def restore(rounded: Tensor, lower: Tensor, start: int = 0) -> Tensor:
    """The fp32 numbers of which `to_bfloat16(..., start)` made `rounded` and `lower_half` made `lower`: every bit."""
    upper, lower = rounded.detach().contiguous().view(torch.int16).flatten(), lower.flatten()
    bits = torch.empty(upper.shape, dtype=torch.int32, device=upper.device)
    for part in parts(len(upper), upper.device):
        dropped = lower[part].int().bitwise_and_(PERIOD - 1)
        carried = _raised(dropped, start).bitwise_right_shift_(16)
        torch.bitwise_or(upper[part].int().sub_(carried).bitwise_left_shift_(16), dropped, out=bits[part])
    return bits.view(torch.float32).view(rounded.shape)


def parts(size: int, device: torch.device) -> Iterator[slice]:
    """All of `size` numbers, so many at once that what is needed in between stays small; thresholds start with each."""
    step = UPDATED["cpu" if device.type == "cpu" else "cuda"]
    return (slice(begin, min(begin + step, size)) for begin in range(0, size, step))


def _raised(bits: Tensor, start: int) -> Tensor:
    """[n] int32: `bits` plus the threshold of each, where those of the first begin at `start`."""
    raise_by = thresholds(bits.device).roll(-start)
    whole = bits.numel() // PERIOD * PERIOD
    raised = torch.empty_like(bits)
    torch.add(bits[:whole].view(-1, PERIOD), raise_by, out=raised[:whole].view(-1, PERIOD))
    torch.add(bits[whole:], raise_by[: bits.numel() - whole], out=raised[whole:])
    return raised


@lru_cache
def thresholds(device: torch.device) -> Tensor:
    """[65536] int32: what is added to the bits of a weight before the lower half of them is dropped."""
    order = torch.randperm(PERIOD, generator=torch.Generator().manual_seed(0))
    return order.to(device=device, dtype=torch.int32)
