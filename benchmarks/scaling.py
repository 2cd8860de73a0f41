"""Time and peak memory as sequences, the vocabulary and the steps grow, for the product and the plain loop in turns.

    python -m benchmarks.scaling [--only length,vocabulary,pairs] [--json]

Random weights at the built-in model's widths, six layers of them; random pairs of which half is prompt, of one length
each. `seconds` is the faster of two steps. `beyond` is the peak less the program, weights, gradients and moments (of
each weight 14 bytes of the product's in bf16, 16 of the plain loop's): what grows with the work. With --only vocabulary
a further line has the logits that are kept bounded to 64 MiB: beyond that bound memory no longer knows the size of the
vocabulary.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.memory import Sizes, random_model
from benchmarks.whole_step import measure
from engine.data.prepared.pairs import Pair, PairWriter
from engine.rundir.paths import RunDir

STEPS = 2
NARROW = Sizes(hidden=576, layers=6, heads=9, kv_heads=3, intermediate=1536)
CONFIG = """
[model]
source = "local"
id = "{model}"
dtype = "bfloat16"
[data]
max_length = {length}
max_prompt_length = {half}
[[data.sources]]
source = "local"
path = "random"
[optimizer]
learning_rate = 1e-6
[train]
pairs_per_step = {pairs}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A model and pairs for it: tokens of each sequence, pairs of each step."""

    length: int = 512
    vocabulary: int = 49_152
    pairs: int = 1


SWEEPS = {
    "length": [Point(length=length) for length in (256, 1024, 4096, 8192)],
    "vocabulary": [Point(vocabulary=size) for size in (32_768, 131_072, 262_144)],
    "pairs": [Point(pairs=pairs) for pairs in (1, 4, 16)],
}


def main() -> int:
    """Run all sweeps and print a table of each."""
    options = parse()
    results: list[dict[str, Any]] = []
    for sweep in options.only.split(","):
        names = ["plain", "dpo-tui"] + (["small-budget"] if sweep == "vocabulary" else [])
        print(f"{sweep:<12} {'':<14} {'seconds':>8} {'faster':>7} {'peak':>6} {'beyond':>7}")
        for point in SWEEPS[sweep]:
            for row in measured(point, names):
                results.append({"sweep": sweep, **row})
                print(line(getattr(point, sweep), row), flush=True)
    if options.json:
        print(json.dumps(results))
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(SWEEPS), help="sweeps with commas between them")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def measured(point: Point, names: list[str]) -> Iterator[dict[str, Any]]:
    """A row for each contestant, the first one first."""
    with tempfile.TemporaryDirectory() as folder:
        run = run_of(point, Path(folder))
        first = None
        for name in names:
            print(f"{point}: {name}", file=sys.stderr, flush=True)
            result = measure(name, run, STEPS)
            seconds = min(result["steps"])
            first = first or seconds
            beyond = result["peak_gib"] - result["idle_gib"] - result["state"] * result["weights"] / 2**30
            yield {
                "name": name,
                "seconds": seconds,
                "faster": first / seconds,
                "peak": result["peak_gib"],
                "beyond": beyond,
            }


def run_of(point: Point, folder: Path) -> RunDir:
    """A run directory with its config and its pairs."""
    run = RunDir(folder / "run")
    run.data_dir.mkdir(parents=True)
    model = random_model(replace(NARROW, vocabulary=point.vocabulary, positions=point.length), folder)
    run.config.write_text(
        CONFIG.format(model=model, length=point.length, half=point.length // 2, pairs=point.pairs)
    )
    draw = np.random.default_rng(0)
    with PairWriter(run.data_dir / "train.arrow") as writer:
        for _ in range(STEPS * point.pairs):
            writer.add(random_pair(point, draw))
    return run


def random_pair(point: Point, draw: np.random.Generator) -> Pair:
    start = point.length // 2
    prompt = draw.integers(0, point.vocabulary, start)
    chosen, rejected = (
        np.concatenate([prompt, draw.integers(0, point.vocabulary, point.length - start)]).astype(np.int32)
        for _ in range(2)
    )
    return Pair(chosen, rejected, start, start)


def line(value: int, row: dict[str, Any]) -> str:
    return (
        f"{value:<12,} {row['name']:<14} {row['seconds']:>8.2f} {row['faster']:>6.2f}x {row['peak']:>6.2f} "
        f"{row['beyond']:>7.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
