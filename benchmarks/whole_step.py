"""The whole training step against TRL, LLaMA-Factory and the best plain loop, and what each part of it is worth.

    python benchmarks/whole_step.py --data pairs.json [--long-prompts] [--contestants trl,plain,dpo-tui] [--rounds 2]

Every contestant trains the same pairs in the same order from the same weights at the same settings (the built-in model,
--dtype, 2 pairs a step), in a process of its own, the contestants taking turns `--rounds` times; of each the fastest
round counts. Prints a table and, with --json, a line of JSON. The columns:

    seconds   of all steps, without loading, compiling and the reference
    faster    than the first contestant, in this run
    before    seconds of loading, compiling and, where it is computed beforehand, the reference
    GEMM      useful operations a second over those of this machine's best product in that type and process. Useful are
              6 x weights outside the embedding x unique tokens + 6 x hidden x vocabulary x scored rows; attention is
              not counted, so the share is a lower bound
    peak      GiB of resident memory
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.contest import steps_of
from benchmarks.contestants import CONTESTANTS
from benchmarks.long_prompts import write_long_prompts
from engine.config.load import load_config
from engine.data.prepare import prepare
from engine.layout import lay_out
from engine.models.load import load_model, load_tokenizer
from engine.rundir.paths import RunDir

CONFIG = """
[model]
source = "builtin"
id = "smollm2-135m-instruct"
dtype = "{dtype}"
[data]
max_length = {max_length}
max_prompt_length = {max_prompt_length}
too_long = "{too_long}"
eval_fraction = 0.0
[[data.sources]]
source = "local"
path = "{data}"
limit = {limit}
[optimizer]
learning_rate = 1e-6
[train]
pairs_per_step = 2
tokens_per_pack = {tokens_per_pack}
"""


def main() -> int:
    """Run all contestants in turns and print the table."""
    options = parse()
    names = options.contestants.split(",")
    with tempfile.TemporaryDirectory() as folder:
        run = prepared_run(Path(folder), options)
        work, shape = useful_work(run, options.steps)
        best: dict[str, dict[str, Any]] = {}
        for turn in range(options.rounds):
            for name in names:
                print(f"round {turn + 1}: {name}", file=sys.stderr, flush=True)
                result = measure(name, run, options.steps)
                if name not in best or sum(result["steps"]) < sum(best[name]["steps"]):
                    best[name] = result
    print(shape)
    print(table(best, work))
    if options.json:
        print(json.dumps({"work": work, "results": best}))
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="preference pairs in any known layout")
    parser.add_argument("--contestants", default="trl,trl-best,plain,dpo-tui", help=", ".join(CONTESTANTS))
    parser.add_argument("--long-prompts", action="store_true", help="prompts made six times their answers")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--limit", type=int, default=20, help="rows read")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def prepared_run(folder: Path, options: argparse.Namespace) -> RunDir:
    """A run directory with its config and its tokenised pairs."""
    data = options.data.resolve()
    if options.long_prompts:
        data = write_long_prompts(data, folder / "long.jsonl", 2 * options.steps)
    run = RunDir(folder / "run")
    run.root.mkdir()
    run.config.write_text(
        CONFIG.format(
            data=data,
            dtype=options.dtype,
            too_long=getattr(options, "too_long", "drop"),
            limit=options.limit,
            max_length=options.max_length,
            max_prompt_length=getattr(options, "max_prompt_length", options.max_length - 1),
            tokens_per_pack=4 * options.max_length,
        )
    )
    config = load_config(run.config).config
    prepare(config, load_tokenizer(config.model), run.data_dir)
    return run


def useful_work(run: RunDir, steps: int) -> tuple[float, str]:
    """Operations that training on these pairs takes at the least, and what the pairs are like."""
    config = load_config(run.config).config
    model = load_model(config.model).model
    head = model.get_output_embeddings().weight
    backbone = sum(p.numel() for p in model.parameters()) - head.numel()
    pairs = [pair for batch in steps_of(run, config, steps) for pair in batch]
    pack = lay_out(pairs)
    prompts = sum(pair.chosen_start for pair in pairs)
    apart = sum(len(pair.chosen) + len(pair.rejected) - 2 for pair in pairs)
    shape = (
        f"{len(pairs)} pairs, {pack.tokens} unique tokens of {apart}, {len(pack.rows)} scored rows; "
        f"prompt to answer {2 * prompts / len(pack.rows):.1f} to 1"
    )
    return 6.0 * backbone * pack.tokens + 6.0 * head.numel() * len(pack.rows), shape


def measure(name: str, run: RunDir, steps: int) -> dict[str, Any]:
    """A contestant's result, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.contestants", name, str(run.root), str(steps)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-4000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def table(best: dict[str, dict[str, Any]], work: float) -> str:
    """One line a contestant."""
    first = next(iter(best.values()))
    lines = [
        f"{'':<12} {'seconds':>8} {'faster':>7} {'before':>7} {'GEMM':>6} {'peak':>6} {'of first':>8}  last loss"
    ]
    for name, result in best.items():
        seconds = sum(result["steps"])
        share = work / seconds / result["gemm"]
        lines.append(
            f"{name:<12} {seconds:>8.1f} {sum(first['steps']) / seconds:>6.2f}x {result['before']:>7.1f} {share:>6.0%} "
            f"{result['peak_gib']:>6.2f} {result['peak_gib'] / first['peak_gib']:>8.0%}  {result['losses'][-1]:.4f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
