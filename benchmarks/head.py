"""The head alone: log-probabilities of targets, forward and backward, against every other way to compute them.

    python -m benchmarks.head [--rows 512] [--hidden 576] [--vocabulary 49152] [--turns 5]

Contestants take turns in one process. TRL's and cut-cross-entropy's are run where they are installed
(`pip install trl==1.16.0 cut-cross-entropy --no-deps`); Liger's kernels need a GPU. `share` is of this machine's best
bf16 product, with three products counted (two where the head is frozen), whatever a contestant computes again. `memory`
is what lives between forward and backward beyond inputs and gradients, by the saved tensors.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.machine import gemm_rate
from benchmarks.timing import best_of
from engine.kernels.compiled import CompiledFold
from engine.kernels.fold import EAGER
from engine.kernels.logprob import HeadOptions, eager_logprob, fused_logprob

Logprob = Callable[[Tensor, Tensor, Tensor], Tensor]
TRL_CHUNK = 32_768


def main() -> int:
    """Print a line a contestant, for a head that is trained and for one that is frozen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--hidden", type=int, default=576)
    parser.add_argument("--vocabulary", type=int, default=49_152)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    for frozen in (False, True):
        report(options, frozen)
    return 0


def report(options: argparse.Namespace, frozen: bool) -> None:
    hidden = (torch.randn(options.rows, options.hidden) * 0.5).bfloat16().requires_grad_()
    weight = (torch.randn(options.vocabulary, options.hidden) * 0.1).bfloat16().requires_grad_(not frozen)
    targets = torch.randint(0, options.vocabulary, (options.rows,))
    ways = contestants()
    best = best_of(
        {name: partial(train, way, hidden, weight, targets) for name, way in ways.items()}, options.turns
    )
    work = (2 if frozen else 3) * 2.0 * options.rows * options.hidden * options.vocabulary
    rate = gemm_rate()
    print(
        f"{'frozen' if frozen else 'trained'} head, {options.rows} rows, {options.hidden} x {options.vocabulary}"
    )
    print(f"{'':<22} {'ms':>8} {'of the plain':>12} {'share':>6} {'memory':>9}")
    for name, seconds in best.items():
        kept = kept_bytes(ways[name], hidden, weight, targets)
        print(
            f"{name:<22} {seconds * 1e3:>8.1f} {best['plain'] / seconds:>11.2f}x {work / seconds / rate:>6.0%} "
            f"{kept / 2**20:>5.0f} MiB"
        )


def train(way: Logprob, hidden: Tensor, weight: Tensor, targets: Tensor) -> object:
    """Forward and backward."""
    leaves = [x for x in (hidden, weight) if x.requires_grad]
    return torch.autograd.grad(way(hidden, weight, targets).sum(), leaves)


def kept_bytes(way: Logprob, hidden: Tensor, weight: Tensor, targets: Tensor) -> int:
    """Bytes saved for the backward pass that are neither hidden states nor weight."""
    inputs = {x.untyped_storage().data_ptr() for x in (hidden, weight, targets)}
    found: dict[int, int] = {}

    def note(x: Tensor) -> Tensor:
        place = x.untyped_storage().data_ptr()
        if place not in inputs:
            found[place] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        way(hidden, weight, targets)
    return sum(found.values())


def contestants() -> dict[str, Logprob]:
    """Those that run here, the plain one first."""
    ways: dict[str, Logprob] = {"plain": eager_logprob}
    for name, options in {
        "kept, compiled": HeadOptions(fold=CompiledFold()),
        "recomputed, compiled": HeadOptions(fold=CompiledFold(), budget=0),
        "kept, eager": HeadOptions(fold=EAGER),
    }.items():
        ways[name] = partial(_ours, options)
    for name, peer in {"TRL 1.16": _trl, "cut-cross-entropy": _cut_cross_entropy}.items():
        try:
            peer(*_small())
        except ImportError as error:
            print(f"{name} does not run here: {error}", file=sys.stderr)
            continue
        ways[name] = peer
    return ways


def _small() -> tuple[Tensor, Tensor, Tensor]:
    return torch.zeros(2, 8).bfloat16(), torch.zeros(16, 8).bfloat16(), torch.zeros(2, dtype=torch.int64)


def _ours(options: HeadOptions, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return fused_logprob(hidden, weight, targets, options=options)[0]


def _trl(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    from trl.kernels import ChunkedLogProbFunction

    out: Tensor = ChunkedLogProbFunction.apply(hidden, weight, None, targets, 1.0, TRL_CHUNK, None, 1.0, ())[
        0
    ]
    return out


def _cut_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    from cut_cross_entropy import linear_cross_entropy

    out: Tensor = -linear_cross_entropy(hidden, weight, targets, reduction="none", impl="torch_compile")
    return out


if __name__ == "__main__":
    sys.exit(main())
