"""20 fp32 steps of full fine-tuning, here and in TRL 1.16's DPOTrainer: the losses must agree.

    python -m benchmarks.trl_agreement --data pairs.json [--steps 20]

The built-in model is trained twice from the same weights on the same pairs in the same order, with the same learning
rate, schedule, clipping and max_length: once by `engine.train.run` as a user would run it, once by DPOTrainer with its
defaults but for those settings. TRL is fed the token ids this product made: it would train one token more, the
newline that SmolLM2's chat template puts after the end of a turn. Prints both losses of every step; exits with 1 if
any two differ by more than 1e-3.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from trl import DPOConfig

from benchmarks.contest import steps_of
from benchmarks.trl_peer import SamePairs, dataset_of
from engine import train
from engine.config.load import load_config
from engine.models.load import load_model, load_tokenizer
from engine.rundir.events import EventWriter, read_events
from engine.rundir.paths import RunDir

TOLERANCE = 1e-3

CONFIG = """
[run]
dir = "{folder}"
[model]
source = "builtin"
id = "smollm2-135m-instruct"
dtype = "float32"
[data]
max_length = {max_length}
max_prompt_length = {max_prompt_length}
too_long = "drop"
eval_fraction = 0.0
[[data.sources]]
source = "local"
path = "{data}"
limit = {limit}
[optimizer]
learning_rate = 1e-5
schedule = "linear"
warmup_ratio = 0.1
max_grad_norm = 1.0
[train]
max_steps = {steps}
pairs_per_step = {pairs_per_step}
tokens_per_pack = {tokens_per_pack}
[export]
enabled = false
"""


def main() -> int:
    """Run both, print the table, return the exit code."""
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        run = RunDir(Path(folder) / "agreement")
        run.root.mkdir()
        run.config.write_text(config_text(options, folder))
        ours, seconds = timed(lambda: train_here(run))
        theirs, trl_seconds = timed(lambda: train_with_trl(run, options.steps))
    return report(ours, theirs, seconds, trl_seconds)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="a file of preference pairs in any known layout"
    )
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--pairs-per-step", type=int, default=2)
    parser.add_argument("--max-length", type=int, default=512)
    parser.add_argument("--limit", type=int, default=300, help="rows read; longer pairs are left out")
    return parser.parse_args()


def config_text(options: argparse.Namespace, folder: str) -> str:
    return CONFIG.format(
        folder=folder,
        data=options.data.resolve(),
        limit=options.limit,
        steps=options.steps,
        pairs_per_step=options.pairs_per_step,
        max_length=options.max_length,
        max_prompt_length=options.max_length - 1,
        tokens_per_pack=2 * options.max_length,
    )


def timed(function: Any) -> tuple[list[float], float]:
    start = time.monotonic()
    return function(), time.monotonic() - start


def train_here(run: RunDir) -> list[float]:
    """The loss of each step, by the product."""
    with EventWriter(run.events) as events:
        train.run(run, events)
    return [event["loss"] for event in read_events(run.events) if event["type"] == "step"]


def train_with_trl(run: RunDir, steps: int) -> list[float]:
    """The loss of each step, by TRL, on the pairs the product prepared and in its order."""
    config = load_config(run.config).config
    settings = DPOConfig(
        output_dir=str(run.root / "trl"),
        per_device_train_batch_size=config.train.pairs_per_step,
        train_sampling_strategy="sequential",
        max_steps=steps,
        learning_rate=config.optimizer.learning_rate,
        lr_scheduler_type=config.optimizer.schedule,
        warmup_steps=config.optimizer.warmup_ratio,
        max_grad_norm=config.optimizer.max_grad_norm,
        max_length=config.data.max_length,
        beta=config.objective.beta,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = SamePairs(
        model=load_model(config.model).model,
        ref_model=load_model(config.model).model,
        args=settings,
        train_dataset=dataset_of(steps_of(run, config, steps)),
        processing_class=load_tokenizer(config.model),
    )
    trainer.train()
    losses: list[float] = trainer.losses
    return losses


def report(ours: list[float], theirs: list[float], seconds: float, trl_seconds: float) -> int:
    print(f"{'step':>4}  {'dpo-tui':>10}  {'TRL':>10}  {'difference':>10}")
    for step, (mine, other) in enumerate(zip(ours, theirs, strict=True), start=1):
        print(f"{step:>4}  {mine:>10.6f}  {other:>10.6f}  {mine - other:>+10.1e}")
    gap = max(abs(mine - other) for mine, other in zip(ours, theirs, strict=True))
    print(
        f"largest difference {gap:.1e} (allowed {TOLERANCE:.0e}); {seconds:.0f} s here, {trl_seconds:.0f} s in TRL,"
    )
    print("both with loading, tokenising and the reference; here also with a checkpoint")
    return 0 if gap <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
