"""LLaMA-Factory's DPO on the pairs this product prepared, in its order, in the environment where it is installed.

It wants other versions of the libraries than this product, so it has a place of its own:

    python -m venv /tmp/lf && /tmp/lf/bin/pip install llamafactory
    LLAMA_FACTORY_PYTHON=/tmp/lf/bin/python python -m benchmarks.whole_step --contestants llama-factory,...

Beside a torch without CUDA, PyPI's torchvision and torchaudio cannot load their libraries: uninstall the one, which it
does without, and remove torchaudio/lib/*.so of the other, which it imports.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from benchmarks.contest import BETA, Measured, steps_of
from engine.config.schema import Config
from engine.data.prepared.pairs import Pair
from engine.models.load import load_model, load_tokenizer
from engine.rundir.paths import RunDir

PYTHON = "LLAMA_FACTORY_PYTHON"
"""The variable that names the interpreter of the environment it is installed in."""
UNSCORED = -100


def train(run: RunDir, config: Config, steps: int) -> Measured:
    """Its `run_exp` with the settings of a first run: gradient checkpointing, a second model for the reference."""
    python = os.environ.get(PYTHON)
    if not python:
        sys.exit(f"{PYTHON} must name the python of an environment with llamafactory")
    folder = run.root / "llama-factory"
    model = folder / "model"
    load_model(config.model).model.save_pretrained(model)
    load_tokenizer(config.model).save_pretrained(model)
    rows = Dataset.from_list([_row(pair) for batch in steps_of(run, config, steps) for pair in batch])
    DatasetDict({"train": rows}).save_to_disk(folder / "pairs")
    (folder / "settings.json").write_text(json.dumps(settings(folder, config, steps)))
    done = subprocess.run(
        [python, "-m", "benchmarks.llamafactory_side", str(folder / "settings.json")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "DISABLE_VERSION_CHECK": "1"},
    )
    if done.returncode:
        sys.exit(done.stderr[-4000:])
    return Measured(**json.loads(done.stdout.strip().splitlines()[-1]))


def settings(folder: Path, config: Config, steps: int) -> dict[str, Any]:
    """What its YAML would say; all that is not here is its default."""
    return {
        "stage": "dpo",
        "do_train": True,
        "model_name_or_path": str(folder / "model"),
        "finetuning_type": "full",
        "pref_beta": BETA,
        "pref_loss": "sigmoid",
        "template": "chatml",
        "dataset": "pairs",
        "tokenized_path": str(folder / "pairs"),
        "cutoff_len": config.data.max_length,
        "disable_shuffling": True,
        "output_dir": str(folder / "out"),
        "per_device_train_batch_size": config.train.pairs_per_step,
        "gradient_accumulation_steps": 1,
        "max_steps": steps,
        "learning_rate": config.optimizer.learning_rate,
        "lr_scheduler_type": "constant",
        "bf16": config.model.dtype == "bfloat16",
        "use_cpu": True,
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
    }


def _row(pair: Pair) -> dict[str, Any]:
    row: dict[str, Any] = {"images": None, "videos": None, "audios": None}
    sides: Iterable[tuple[str, Any, int]] = (
        ("chosen", pair.chosen, pair.chosen_start),
        ("rejected", pair.rejected, pair.rejected_start),
    )
    for side, ids, start in sides:
        row[f"{side}_input_ids"] = ids.tolist()
        row[f"{side}_attention_mask"] = [1] * len(ids)
        row[f"{side}_labels"] = [UNSCORED] * start + ids[start:].tolist()
    return row
