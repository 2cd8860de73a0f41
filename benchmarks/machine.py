"""What a contestant reads off the machine it runs on. It needs torch alone: other programs' environments import it."""

import time
from pathlib import Path

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
    """The most memory this program has had, resident. `ru_maxrss` would count the process that started it as well."""
    status = Path("/proc/self/status").read_text()
    (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kib) / 2**20
