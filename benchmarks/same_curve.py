"""The loss over 50 steps with every optimisation on, and with each of them off: what they change is rounding alone.

    python -m benchmarks.same_curve --data pairs.json [--steps 50] [--dtype float32]

Each way trains the same pairs from the same weights in a process of its own. In fp32 the losses must agree to 1e-5. In
bf16 the measure is the noise of rounding itself: the same training, all on, with other rounding thresholds for its
weights. Columns: the mean and the largest difference of a step's loss from that of the training with all on, and the
mean as a share of the noise.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.whole_step import measure, prepared_run

WAYS = (
    "other-rounding",
    "no-compile",
    "no-kernel",
    "no-head",
    "no-sharing",
    "no-packs",
    "checkpointed",
    "bare",
)
MAX_LENGTH = 128
BOUND = 1e-5


def main() -> int:
    """Train every way and print the differences; 1 when one is more than rounding explains."""
    options = parse()
    exact = options.dtype == "float32"
    with tempfile.TemporaryDirectory() as folder:
        run = prepared_run(Path(folder), options)
        print("all on", file=sys.stderr, flush=True)
        expected = measure("dpo-tui", run, options.steps)["losses"]
        gaps = {}
        for name in ways(options.ways, exact=exact):
            print(name, file=sys.stderr, flush=True)
            losses = measure(name, run, options.steps)["losses"]
            gaps[name] = [abs(a - b) for a, b in zip(losses, expected, strict=True)]
    noise = BOUND if exact else mean(gaps["other-rounding"])
    print(f"{options.steps} steps, {options.dtype}, loss from {expected[0]:.4f} to {expected[-1]:.4f}")
    print(f"{'':<16} {'mean':>9} {'largest':>9} {'of the bound' if exact else 'of the noise':>13}")
    for name, gap in gaps.items():
        worst = max(gap) if exact else mean(gap)
        print(f"{name:<16} {mean(gap):>9.2g} {max(gap):>9.2g} {worst / noise:>13.2f}")
    if options.json:
        print(json.dumps({"expected": expected, "gaps": gaps}))
    return int(exact and any(max(gap) > BOUND for gap in gaps.values()))


def ways(asked: str, *, exact: bool) -> list[str]:
    """Those asked for, and other rounding, which says how large the noise is, unless nothing is rounded."""
    others = [name for name in asked.split(",") if name != WAYS[0]]
    return others if exact else [WAYS[0], *others]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="preference pairs in any known layout")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--ways", default=",".join(WAYS), help="with commas between them")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lengths = {"max_length": MAX_LENGTH, "max_prompt_length": MAX_LENGTH // 2, "too_long": "truncate"}
    return argparse.Namespace(**vars(options), **lengths, limit=2 * options.steps + 20, long_prompts=False)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    sys.exit(main())
