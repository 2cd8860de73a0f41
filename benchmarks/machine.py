"""What a contestant reads off the machine it runs on. It needs torch alone: other programs' environments import it."""

import resource
import time

import torch

SIDE = 2048
"""Of the square matrices by whose product the machine's rate is measured."""


def gemm_rate(dtype: str = "bfloat16", times: int = 12) -> float:
    """Operations a second of the best of some products of square matrices of that type."""
    a, b = (torch.randn(SIDE, SIDE).to(getattr(torch, dtype)) for _ in range(2))
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * SIDE**3 / best


def peak_gib() -> float:
    """The most memory this process has had, resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
