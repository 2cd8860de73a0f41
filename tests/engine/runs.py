"""Runs of a tiny model on a few dozen pairs: seconds from config to export."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import Tensor

from engine import train
from engine.config.load import load_config
from engine.plan import StepPlan
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.control import Control
from engine.rundir.events import EventWriter, read_events
from engine.rundir.paths import RunDir
from engine.trainer import Trainer

CONFIG = """
[run]
name = "{name}"
dir = "{folder}"

[model]
source = "local"
id = "{model}"
dtype = "float32"

[data]
max_length = 96
max_prompt_length = 48
eval_fraction = 0.1

[[data.sources]]
source = "local"
path = "{pairs}"

[optimizer]
learning_rate = 1e-3

[train]
pairs_per_step = 4
tokens_per_pack = 256
max_steps = 6
save_every = 2

[export]
verify = false
"""

WORDS = ["red", "blue", "tea", "cup", "sun", "rain", "old", "new", "slow", "fast", "one", "two", "cat", "dog"]


def write_pairs(path: Path, count: int = 30) -> Path:
    """Chat pairs whose chosen answer is one word and whose rejected answer is several."""
    rng = random.Random(0)
    rows = []
    for number in range(count):
        word = rng.choice(WORDS)
        prompt = f"{number} {word}?"
        long = " ".join(rng.choices(WORDS, k=rng.randint(2, 6)))
        rows.append(
            {
                "prompt": [{"role": "user", "content": prompt}],
                "chosen": [{"role": "assistant", "content": word}],
                "rejected": [{"role": "assistant", "content": long}],
            }
        )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def make_run(folder: Path, name: str, model: Path, pairs: Path, *overrides: str) -> RunDir:
    """A run directory with its config, as the launcher writes it."""
    run = RunDir(folder / name)
    run.root.mkdir(parents=True)
    run.config.write_text(CONFIG.format(name=name, folder=folder, model=model, pairs=pairs))
    loaded = load_config(run.config, overrides)
    run.config.write_text(loaded.document.dumps())
    return run


def train_here(run: RunDir) -> list[dict[str, Any]]:
    """Train in this process; returns all events so far."""
    with EventWriter(run.events) as events:
        train.run(run, events)
    return list(read_events(run.events))


def stop_at(monkeypatch: pytest.MonkeyPatch, run: RunDir, last: int) -> Control:
    """Ask the run to stop as soon as it has trained step `last`."""
    control, step = Control(run.control_dir), Trainer.step

    def step_and_ask_to_stop(self: Trainer, plan: StepPlan) -> dict[str, float]:
        stats = step(self, plan)
        if plan.step == last:
            control.request_stop()
        return stats

    monkeypatch.setattr(Trainer, "step", step_and_ask_to_stop)
    return control


def of_type(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == kind]


def final_weights(run: RunDir) -> dict[str, Tensor]:
    """The fp32 weights of the newest checkpoint."""
    index = CheckpointIndex(run.checkpoints_dir)
    weights: dict[str, Tensor] = load_file(index.path(index.steps()[-1]) / "weights.safetensors")
    return weights
