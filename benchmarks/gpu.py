"""Head and attention on a GPU: the product's kernels against every other way, and against what the roofline predicts.

    python -m benchmarks.gpu [--rows 8192] [--hidden 4096] [--vocabulary 151936] [--turns 5]

Never run so far: no card was at hand. `--device cpu` runs the same code with small sizes, to see that it works.
Peers are run where they are installed: TRL's chunked head, Liger's fused linear cross-entropy. `peak` is GiB allocated
beyond the inputs.
"""

import argparse
import importlib.util
import sys
from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from benchmarks.head import contestants, train
from benchmarks.timing import best_of
from engine.attention import pair_attention
from engine.kernels.head import default_fold
from engine.kernels.logprob import HeadOptions, fused_logprob
from engine.layout import Segment, SegmentTable

HEADS, KEY_HEADS, DIM = 32, 8, 128
NO_CARD = 8


def main() -> int:
    """Print both tables; 8 without a card."""
    options = parse()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("there is no CUDA device here", file=sys.stderr)
        return NO_CARD
    for frozen in (False, True):
        head(options, frozen)
    attention(options)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    return parser.parse_args()


def head(options: argparse.Namespace, frozen: bool) -> None:
    """The head's three policies against its peers, forward and backward."""
    draw = partial(torch.randn, device=options.device, dtype=torch.bfloat16)
    hidden = (draw(options.rows, options.hidden) * 0.5).requires_grad_()
    weight = (draw(options.vocabulary, options.hidden) * 0.1).requires_grad_(not frozen)
    targets = torch.randint(0, options.vocabulary, (options.rows,), device=options.device)
    ways = heads(torch.device(options.device))
    runs = {name: partial(train, way, hidden, weight, targets) for name, way in ways.items()}
    print(
        f"\n{'frozen' if frozen else 'trained'} head, {options.rows} x {options.hidden} x {options.vocabulary}"
    )
    report(runs, options)


def heads(device: torch.device) -> dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    """Ours on this device's own kernels first, then what `benchmarks.head` knows, then Liger's."""
    fold = default_fold(device)
    ours = {
        "kept": HeadOptions(fold=fold, budget=1 << 40),
        "recomputed": HeadOptions(fold=fold, budget=0),
    }
    ways = {name: partial(_fused, options) for name, options in ours.items()}
    peers = {
        name: way for name, way in contestants().items() if "compiled" not in name and "eager" not in name
    }
    if importlib.util.find_spec("liger_kernel") is not None:
        peers["Liger"] = _liger
    return {**ways, **peers}


def _liger(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

    loss: Tensor = liger_fused_linear_cross_entropy(hidden, weight, targets, reduction="none")
    return -loss


def _fused(options: HeadOptions, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return fused_logprob(hidden, weight, targets, options=options)[0]


def attention(options: argparse.Namespace) -> None:
    """A pack of pairs with shared prompts against the same sequences padded, as a plain loop runs them."""
    prompt, answer, pairs = options.rows // 8, options.rows // 16, 4
    segments = [s for i in range(pairs) for s in _pair(i * (prompt + 2 * answer), prompt, answer)]
    table = SegmentTable(segments)
    draw = partial(torch.randn, device=options.device, dtype=torch.bfloat16, requires_grad=True)
    packed = [draw(1, heads, table.segments[-1].stop, DIM) for heads in (HEADS, KEY_HEADS, KEY_HEADS)]
    padded = [draw(2 * pairs, heads, prompt + answer, DIM) for heads in (HEADS, KEY_HEADS, KEY_HEADS)]
    print(f"\nattention, {pairs} pairs, prompt {prompt}, answers {answer}")
    report({"padded": partial(_padded, padded), "packed, shared": partial(_packed, packed, table)}, options)


def _pair(start: int, prompt: int, answer: int) -> tuple[Segment, Segment]:
    branch = start + prompt + answer
    return Segment(start, branch), Segment(branch, branch + answer, start, prompt)


def _padded(inputs: list[Tensor]) -> object:
    query, key, value = inputs
    out = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    return torch.autograd.grad(out.sum(), inputs)


def _packed(inputs: list[Tensor], table: SegmentTable) -> object:
    query, key, value = inputs
    out = pair_attention(torch.nn.Identity(), query, key, value, None, pack_segments=table)[0]
    return torch.autograd.grad(out.sum(), inputs)


def report(runs: Mapping[str, Callable[[], object]], options: argparse.Namespace) -> None:
    """A line a contestant: milliseconds, times as fast as the first, peak."""
    finished = {name: partial(_finish, run, options.device) for name, run in runs.items()}
    best = best_of(finished, options.turns)
    first = next(iter(best.values()))
    for name, seconds in best.items():
        peak = _peak(runs[name], options.device)
        print(f"{name:<24} {seconds * 1e3:>9.2f} ms {first / seconds:>6.2f}x {peak:>7.2f} GiB")


def _finish(run: Callable[[], object], device: str) -> None:
    run()
    if device == "cuda":
        torch.cuda.synchronize()


def _peak(run: Callable[[], object], device: str) -> float:
    if device != "cuda":
        return float("nan")
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run()
    return (torch.cuda.max_memory_allocated() - before) / 2**30


if __name__ == "__main__":
    sys.exit(main())
