"""Weights as bitsandbytes' NF4 with doubly quantised scales, the same to the last bit wherever it is computed.

bitsandbytes takes the mean of a tensor's scales in an order that depends on the number of threads, and need not round
alike on CPUs and GPUs: the 4-bit model would be another in each process, and with it the reference. Here each step is
one that IEEE arithmetic leaves no choice in. Most of them run on a GPU where there is one, for the sake of time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

BLOCK = 64
"""Weights that share a scale."""
SCALES = 256
"""Scales that share a scale of their own."""
PORTION = 1 << 20
"""Weights worked on at a time: temporary numbers take 16 bytes each."""


def quantized(weight: Tensor) -> tuple[Tensor, Any]:
    """uint8 [ceil(n / 2), 1], two weights a byte, and bitsandbytes' state that turns them into numbers again; both on
    the CPU. The weight has n numbers in any shape.
    """
    from bitsandbytes.functional import QuantState, get_4bit_type, quantize_blockwise

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    code = get_4bit_type("nf4", device="cpu")
    between = ((code[1:] + code[:-1]) / 2).to(device)
    flat = weight.detach().flatten()
    blocks = -(-flat.numel() // BLOCK)
    # What stays is there before what comes and goes, or a C library would keep the gaps between.
    packed, scales = torch.empty(blocks * BLOCK // 2, dtype=torch.uint8), torch.empty(blocks)
    for start in range(0, flat.numel(), PORTION):
        codes, largest = _portion(flat[start : start + PORTION].to(device).float(), between)
        packed[start // 2 : start // 2 + len(codes)] = codes
        scales[start // BLOCK : start // BLOCK + len(largest)] = largest
    mean = torch.tensor(float(scales.numpy().mean(dtype=np.float64)), dtype=torch.float32)
    small, of_scales = quantize_blockwise(scales - mean, blocksize=SCALES)
    state = QuantState(
        absmax=small,
        shape=weight.shape,
        dtype=weight.dtype,
        blocksize=BLOCK,
        code=code,
        quant_type="nf4",
        offset=mean,
        state2=of_scales,
    )
    return packed[: (flat.numel() + 1) // 2, None], state


def _portion(flat: Tensor, between: Tensor) -> tuple[Tensor, Tensor]:
    """Packed codes and fp32 scales of a stretch of weights that begins with a block; the last block is filled up."""
    blocks = torch.nn.functional.pad(flat, (0, -flat.numel() % BLOCK)).view(-1, BLOCK)
    scales = blocks.abs().amax(1)
    shares = (blocks * (1.0 / scales.clamp(min=1e-38))[:, None]).clamp(-1, 1)
    codes = torch.bucketize(shares, between, out_int32=True).to(torch.uint8).view(-1, 2)
    return (codes[:, 0] << 4) | codes[:, 1], scales


@contextmanager
def quantizing() -> Iterator[None]:
    """Within it bitsandbytes' layers quantise their weights by `quantized`."""

    from bitsandbytes import functional

    def instead(weight: Tensor, **asked: Any) -> tuple[Tensor, Any]:
        assert asked.get("quant_type") == "nf4"
        assert asked.get("compress_statistics")
        return quantized(weight)

    theirs = functional.quantize_4bit
    functional.quantize_4bit = instead
    try:
        yield
    finally:
        functional.quantize_4bit = theirs
