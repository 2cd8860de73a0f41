"""The CPU's own attention kernel against torch's, forward and backward, for packs as training makes them.

    python -m benchmarks.attention [--turns 7]

Heads of SmolLM2-135M (9 on 3, of 64). Both attend segment by segment to the same keys; torch's is its scaled dot
product attention, which goes the way of flash attention on a CPU. Also printed is the kernel's rate, counting visible
keys alone: 4 operations a key and dimension forward, 10 backward.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.timing import best_of
from engine.attention import pair_attention
from engine.kernels import cpu_attention
from engine.layout import Segment, SegmentTable

HEADS, KEY_HEADS, DIM = 9, 3, 64
PACKS = {
    "one sequence of 128": [Segment(0, 128)],
    "one of 539": [Segment(0, 539)],
    "one of 1,024": [Segment(0, 1024)],
    "prompt 52, answers 341": [Segment(0, 393), Segment(393, 734, 0, 52)],
    "prompt 539, answers 256": [Segment(0, 795), Segment(795, 1051, 0, 539)],
    "prompt 1,024, answers 1,024": [Segment(0, 2048), Segment(2048, 3072, 0, 1024)],
    "eight short pairs": [
        s
        for i in range(8)
        for s in (Segment(120 * i, 120 * i + 80), Segment(120 * i + 80, 120 * i + 120, 120 * i, 40))
    ],
}


def main() -> int:
    """Print a line a pack."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    if problem := cpu_attention.problem():
        sys.exit(f"the kernel does not run here: {problem}")
    print(
        f"{'':<28} {'torch':>16} {'kernel':>16} {'faster':>14} {'GF/s':>11}\n{'ms':<28} {'fwd':>7} {'bwd':>8} "
        f"{'fwd':>7} {'bwd':>8} {'fwd':>6} {'bwd':>7} {'fwd':>5} {'bwd':>5}"
    )
    for name, segments in PACKS.items():
        print(line(name, segments, options.turns), flush=True)
    return 0


def line(name: str, segments: list[Segment], turns: int) -> str:
    tokens = max(segment.stop for segment in segments)
    query, key, value = (_draw(count, tokens) for count in (HEADS, KEY_HEADS, KEY_HEADS))
    grad = torch.randn(1, tokens, HEADS, DIM).bfloat16()
    tables = {"torch": SegmentTable(segments), "kernel": SegmentTable(segments, native=True)}
    ways: dict[str, Callable[[], object]] = {}
    for who, table in tables.items():
        ways[who] = partial(_attend, table, query, key, value)
        ways[f"{who} whole"] = partial(_train, table, query, key, value, grad)
    best = best_of(ways, turns)
    fwd = {who: best[who] * 1e3 for who in tables}
    bwd = {who: best[f"{who} whole"] * 1e3 - fwd[who] for who in tables}
    keys = sum(s.length * s.shared + s.length * (s.length + 1) // 2 for s in segments)
    work = 4.0 * keys * HEADS * DIM / 1e6
    return (
        f"{name:<28} {fwd['torch']:>7.2f} {bwd['torch']:>8.2f} {fwd['kernel']:>7.2f} {bwd['kernel']:>8.2f} "
        f"{fwd['torch'] / fwd['kernel']:>5.1f}x {bwd['torch'] / bwd['kernel']:>6.1f}x "
        f"{work / fwd['kernel']:>5.0f} {2.5 * work / bwd['kernel']:>5.0f}"
    )


def _draw(heads: int, tokens: int) -> Tensor:
    return torch.randn(1, tokens, heads, DIM).bfloat16().transpose(1, 2).requires_grad_()


def _attend(table: SegmentTable, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return pair_attention(torch.nn.Identity(), query, key, value, None, pack_segments=table)[0]


def _train(table: SegmentTable, query: Tensor, key: Tensor, value: Tensor, grad: Tensor) -> object:
    return torch.autograd.grad(_attend(table, query, key, value), [query, key, value], grad)


if __name__ == "__main__":
    sys.exit(main())
