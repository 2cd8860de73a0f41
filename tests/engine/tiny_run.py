"""A run directory as training leaves it, around a tiny model: config, events, checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from engine.config.load import load_config
from engine.data.prepared.pairs import Pair, PairWriter
from engine.export.export import export
from engine.models.adapters import add_lora
from engine.models.load import load_model
from engine.models.weights import save_trained, trained_tensors
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import EventWriter
from engine.rundir.paths import RunDir

LORA = "[model.lora]\nrank = 4\n"


def tiny_run(
    root: Path,
    model: Path | str,
    extra: str = "",
    evals: Mapping[int, float] | None = None,
    source: str = "local",
) -> RunDir:
    """Checkpoints at the steps of `evals`, each with its eval loss (NaN: not evaluated), at step 4 if None."""
    root.mkdir(parents=True)
    run = RunDir(root)
    run.config.write_text(
        f'[run]\nname = "tiny"\n[model]\nsource = "{source}"\nid = "{model}"\n{extra}'
        f'[[data.sources]]\nsource = "local"\npath = "{root / "pairs.jsonl"}"\n'
    )
    for step, loss in (evals or {4: float("nan")}).items():
        write_checkpoint(run, step, {} if loss != loss else {"eval_loss": loss, "eval_rewards/margins": 0.25})
    write_events(run)
    write_prepared(run)
    return run


def exported(run: RunDir, **options: Any) -> Path:
    """The folder of an export that nobody verifies: a fresh process takes seconds."""
    return export(run, **{"verify": False, **options}).path


def trained(run: RunDir, step: int) -> nn.Module:
    """The model training had in memory at `step`: the base, its trained weights moved a little."""
    config = load_config(run.config).config
    loaded = load_model(config.model).model
    model: nn.Module = add_lora(loaded, config.model.lora, config.run.seed) if config.model.lora else loaded
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for parameter in trained_tensors(model).values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    model.eval()
    return model


def write_checkpoint(run: RunDir, step: int, metrics: dict[str, float]) -> None:
    index = CheckpointIndex(run.checkpoints_dir)
    save_trained(trained(run, step), index.staging(step) / "weights.safetensors")
    facts: dict[str, Any] = {
        "config_digest": "c" * 64,
        "data_digest": "d" * 64,
        "model_digest": load_model(load_config(run.config).config.model).fingerprint,
        "world_size": 1,
        "versions": {},
    }
    index.commit(step, epoch=step / 10, metrics=metrics, **facts)


def write_events(run: RunDir) -> None:
    with EventWriter(run.events) as events:
        for step in range(1, 5):
            share = {"rewards/margins": step / 10, "rewards/accuracies": 0.5 + step / 10}
            events.emit("step", step=step, loss=0.7 - step / 100, **share)
        events.emit("eval", step=4, loss=0.61, **{"rewards/margins": 0.25, "rewards/accuracies": 0.75})


def write_prepared(run: RunDir) -> None:
    """Five pairs as tokenising leaves them, the first of them longer than what a proof looks at."""
    run.data_dir.mkdir()
    rng = np.random.default_rng(0)
    with PairWriter(run.data_dir / "train.arrow") as writer:
        for length in (80, 20, 30, 10, 12):
            chosen, rejected = (rng.integers(3, 259, length, dtype=np.int32) for _ in range(2))
            rejected[:4] = chosen[:4]
            writer.add(Pair(chosen, rejected, 4, 4))


def fail_with(failure: BaseException) -> Any:
    """A function that fails so, to be put in the place of another."""

    def fail(*_: object) -> None:
        raise failure

    return fail
