"""fp32 weights as bf16, so that a weight moves when its fp32 value does.

Rounding to the nearest bf16 has a dead zone: a weight of 0.15 stays where it is until training has moved it by 0.0005,
and DPO moves weights by millionths a step. Weights that lie half way between two bf16 numbers, as one in twelve of a
dequantised GGUF does, jump by a whole step at the first touch instead. So every weight has a rounding threshold of its
own, fixed for good and spread evenly over the weights of a tensor: of many weights that move by a tenth of a bf16
step, a tenth move by one. A weight that is a bf16 number already stays as it is.
"""

from functools import lru_cache

import torch
from torch import Tensor

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
    bits = weight.detach().contiguous().view(torch.int32).flatten()
    raise_by = thresholds(bits.device).roll(-start)
    whole = bits.numel() // PERIOD * PERIOD
    raised = torch.empty_like(bits)
    torch.add(bits[:whole].view(-1, PERIOD), raise_by, out=raised[:whole].view(-1, PERIOD))
    torch.add(bits[whole:], raise_by[: bits.numel() - whole], out=raised[whole:])
    return raised.bitwise_right_shift_(16).to(torch.int16).view(torch.bfloat16).view(weight.shape)


@lru_cache
def thresholds(device: torch.device) -> Tensor:
    """[65536] int32: what is added to the bits of a weight before the lower half of them is dropped."""
    order = torch.randperm(PERIOD, generator=torch.Generator().manual_seed(0))
    return order.to(device=device, dtype=torch.int32)
