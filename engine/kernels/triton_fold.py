"""The fold on CUDA: cuBLAS writes a tile of logits, a program a row folds it, a program a block writes its gradient.

At 3 TB/s a pass over a tile costs a twentieth of the matrix product that made it, so a kernel that also did the product
would win memory that the tiles bound anyway, and lose cuBLAS. The twin and the formulas are in `fold.py`.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from engine.kernels.fold import Folded, LogitShape, wide

BLOCK = 4096
"""Logits of a row a program takes at a time."""
WARPS = 8
LOWEST = tl.constexpr(-3.0e38)
"""Stands for minus infinity, whose difference to itself would be no number."""


@triton.jit  # type: ignore[untyped-decorator]
def shape_scores(z, scale, softcap, CAPPED: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: N803
    """scale z, and where the model caps its logits softcap tanh(scale z / softcap)."""
    s = z * scale
    if CAPPED:
        # tanh by an exponential that cannot overflow: the sign is put back afterwards.
        t = tl.exp(-2.0 * tl.abs(s) / softcap)
        magnitude = softcap * (1.0 - t) / (1.0 + t)
        s = tl.where(s < 0, -magnitude, magnitude)
    return s


@triton.jit  # type: ignore[untyped-decorator]
def fold_kernel(  # type: ignore[no-untyped-def]
    logits,
    targets,
    lse,
    picked,
    entropy,
    top,
    stride,
    columns,
    scale,
    softcap,
    CAPPED: tl.constexpr,  # noqa: N803
    STATS: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    """One program a row: running maximum, running sum, and with STATS the running sum of s exp s."""
    row = tl.program_id(0).to(tl.int64)  # rows x vocabulary passes 2^31
    start = logits + row * stride
    offsets = tl.arange(0, BLOCK)
    highest = tl.full([BLOCK], LOWEST, tl.float32)
    total = tl.zeros([BLOCK], tl.float32)
    moment = tl.zeros([BLOCK], tl.float32)
    for first in range(0, columns, BLOCK):
        inside = first + offsets < columns
        z = tl.load(start + first + offsets, mask=inside, other=0.0).to(tl.float32)
        s = shape_scores(z, scale, softcap, CAPPED)
        higher = tl.where(inside, tl.maximum(highest, s), highest)
        shrink = tl.exp(highest - higher)
        weight = tl.where(inside, tl.exp(s - higher), 0.0)
        total = total * shrink + weight
        if STATS:
            moment = moment * shrink + weight * s
        highest = higher
    most = tl.max(highest, 0)
    shrink = tl.exp(highest - most)
    mass = tl.sum(total * shrink, 0)
    log_sum = most + tl.log(mass)
    target = tl.load(targets + row)
    chosen = shape_scores(tl.load(start + target).to(tl.float32), scale, softcap, CAPPED)
    tl.store(lse + row, log_sum)
    tl.store(picked + row, chosen)
    if STATS:
        tl.store(entropy + row, log_sum - tl.sum(moment * shrink, 0) / mass)
        tl.store(top + row, (chosen >= most).to(tl.float32))


@triton.jit  # type: ignore[untyped-decorator]
def slope_kernel(  # type: ignore[no-untyped-def]
    logits,
    lse,
    targets,
    upstream,
    stride,
    columns,
    scale,
    softcap,
    CAPPED: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    """One program a block of a row: the logits there become their gradient."""
    row = tl.program_id(0).to(tl.int64)
    offsets = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = offsets < columns
    place = logits + row * stride + offsets
    s = shape_scores(tl.load(place, mask=inside, other=0.0).to(tl.float32), scale, softcap, CAPPED)
    hit = (offsets == tl.load(targets + row)).to(tl.float32)
    grad = tl.load(upstream + row) * (hit - tl.exp(s - tl.load(lse + row)))
    if CAPPED:
        grad = grad * (1.0 - (s / softcap) * (s / softcap))
    tl.store(place, (grad * scale).to(logits.dtype.element_ty), mask=inside)


class TritonFold:
    """Both kernels as a back end; also under Triton's interpreter."""

    def fold(self, logits: Tensor, targets: Tensor, shape: LogitShape, stats: bool) -> Folded:
        """As `Fold.fold`."""
        rows, columns = logits.shape
        told = rows if stats else 0
        sizes = (rows, rows, told, told)
        out = Folded(*(torch.empty(n, dtype=torch.float32, device=logits.device) for n in sizes))
        if rows:
            fold_kernel[(rows,)](
                logits, targets, *out, logits.stride(0), columns, shape.scale, shape.softcap or 1.0,
                CAPPED=shape.softcap is not None, STATS=stats, BLOCK=BLOCK, num_warps=WARPS,
            )  # fmt: skip
        return out

    def slope_(
        self, logits: Tensor, lse: Tensor, targets: Tensor, upstream: Tensor, shape: LogitShape
    ) -> None:
        """As `Fold.slope_`."""
        assert wide(logits.dtype) == torch.float32
        rows, columns = logits.shape
        if rows:
            slope_kernel[(rows, triton.cdiv(columns, BLOCK))](
                logits, lse, targets, upstream, logits.stride(0), columns, shape.scale, shape.softcap or 1.0,
                CAPPED=shape.softcap is not None, BLOCK=BLOCK, num_warps=WARPS,
            )  # fmt: skip
