"""The memory model against trainings: what `engine.memory` expects and what a process of its own then took.

    python -m benchmarks.memory --data pairs.json [--only NAME,...] [--json]

Each line is a real run of a few steps, of the built-in model or of one with random weights and other sizes; `expected`
and `taken` are GiB of the training process at its highest, as the run's own events tell.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.rundir.events import read_events

BUILTIN = {"source": "builtin", "id": "smollm2-135m-instruct"}


@dataclass(frozen=True, slots=True)
class Sizes:
    """A Llama of random weights."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int = 49152
    tied: bool = True
    positions: int = 4096


@dataclass(frozen=True, slots=True)
class Case:
    """Keys of the config, and the model where it is not the built-in one."""

    keys: Mapping[str, Any] = field(default_factory=dict)
    sizes: Sizes | None = None


TWO: dict[str, Any] = {"launch.devices": 2, "train.tokens_per_pack": 2048}
LONG = {"train.tokens_per_pack": 8192, "train.pairs_per_step": 12}
CASES = {
    "bf16": Case(),
    "bf16, not compiled": Case({"train.compile": "off"}),
    "bf16, small packs": Case({"train.tokens_per_pack": 2048}),
    "bf16, large packs": Case(LONG),
    "bf16, checkpointing": Case({"train.gradient_checkpointing": True}),
    "bf16, large packs, checkpointing": Case({**LONG, "train.gradient_checkpointing": True}),
    "bf16, large, checkpointing, not compiled": Case(
        {**LONG, "train.gradient_checkpointing": True, "train.compile": "off"}
    ),
    "fp32": Case({"model.dtype": "float32"}),
    "fp32, not compiled": Case({"model.dtype": "float32", "train.compile": "off"}),
    "LoRA": Case({"model.lora.rank": 16}),
    "LoRA, not compiled": Case({"model.lora.rank": 16, "train.compile": "off"}),
    "LoRA, large packs, checkpointing": Case(
        {**LONG, "model.lora.rank": 16, "train.gradient_checkpointing": True}
    ),
    "QLoRA, not compiled": Case(
        {"model.lora.rank": 16, "model.lora.quantization": "nf4", "train.compile": "off"}
    ),
    "QLoRA, fp32, small packs, not compiled": Case(
        {
            "model.lora.rank": 16,
            "model.lora.quantization": "nf4",
            "model.dtype": "float32",
            "train.tokens_per_pack": 2048,
            "train.compile": "off",
        }
    ),
    "LoRA, fp32": Case({"model.lora.rank": 16, "model.dtype": "float32"}),
    "wide and flat, fp32, not compiled": Case(
        {"model.dtype": "float32", "train.compile": "off"}, Sizes(1024, 6, 16, 16, 4096)
    ),
    "narrow and deep, fp32, not compiled": Case(
        {"model.dtype": "float32", "train.compile": "off"}, Sizes(384, 40, 6, 2, 1024)
    ),
    "wide and flat, LoRA, fp32, not compiled": Case(
        {"model.lora.rank": 16, "model.dtype": "float32", "train.compile": "off"},
        Sizes(1024, 6, 16, 16, 4096),
    ),
    "narrow and deep, LoRA, fp32": Case(
        {"model.lora.rank": 16, "model.dtype": "float32"}, Sizes(384, 40, 6, 2, 1024)
    ),
    "wide and flat": Case(sizes=Sizes(1024, 6, 16, 16, 4096)),
    "narrow and deep": Case(sizes=Sizes(384, 40, 6, 2, 1024)),
    "large vocabulary": Case(sizes=Sizes(512, 8, 8, 4, 1408, 262144)),
    "wide and flat, pairs shared by two": Case(
        {"launch.devices": 2, "launch.sequence_parallel": 2}, Sizes(1024, 6, 16, 16, 4096)
    ),
    "two processes, ddp": Case(TWO | {"launch.strategy": "ddp"}),
    "two processes, zero1": Case(TWO | {"launch.strategy": "zero1"}),
    "two processes, zero2": Case(TWO | {"launch.strategy": "zero2"}),
    "two processes, zero3": Case(TWO | {"launch.strategy": "zero3"}),
    "two processes, zero3, fp32": Case(TWO | {"launch.strategy": "zero3", "model.dtype": "float32"}),
    "small vocabulary, untied": Case(sizes=Sizes(768, 12, 12, 12, 2048, 49152, tied=False)),
}

CONFIG = """
[model]
{model}
{lora}
[data]
max_length = 1024
max_prompt_length = 512
eval_fraction = 0.0
[[data.sources]]
source = "local"
path = "{data}"
limit = 60
[optimizer]
learning_rate = 1e-6
[train]
max_steps = 3
pairs_per_step = {pairs_per_step}
tokens_per_pack = {tokens_per_pack}
compile = "{compile}"
gradient_checkpointing = {checkpointing}
[launch]
devices = {devices}
strategy = "{strategy}"
sequence_parallel = {sequence_parallel}
[export]
enabled = false
"""


def main() -> int:
    """Train every case and print the table; 1 when one is off by more than a tenth."""
    options = parse()
    names = options.only.split(";") if options.only else list(CASES)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(names):
            rows.append({"case": name, **measured(CASES[name], Path(folder) / str(number), options.data)})
            print(line(rows[-1]), file=sys.stderr, flush=True)  # the next one takes minutes
    print(table(rows))
    if options.json:
        print(json.dumps(rows))
    return int(any(abs(error(row)) > 0.1 for row in rows))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="preference pairs in any known layout")
    parser.add_argument("--only", help=f"names with ; between them: {'; '.join(CASES)}")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def measured(case: Case, folder: Path, data: Path) -> dict[str, Any]:
    """What was expected of a run, and what it took."""
    folder.mkdir()
    config = folder / "config.toml"
    config.write_text(config_text(case, folder, data))
    command = [
        sys.executable,
        "-m",
        "dpo_tui",
        "--headless",
        str(config),
        "--runs",
        str(folder),
        "--run",
        "run",
    ]
    done = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    events = list(read_events(folder / "run" / "events.jsonl"))
    if done.returncode:
        sys.exit(f"{config.read_text()}\n{done.stderr[-2000:]}")
    expected = next(event for event in events if event["type"] == "memory")
    taken = max(event["memory_gib"] for event in events if event["type"] == "step")
    return {"expected": expected, "taken": taken}


def config_text(case: Case, folder: Path, data: Path) -> str:
    keys = dict(case.keys)
    model = (
        BUILTIN if case.sizes is None else {"source": "local", "id": str(random_model(case.sizes, folder))}
    )
    lines = [f'{name} = "{value}"' for name, value in model.items()]
    lines.append(f'dtype = "{keys.get("model.dtype", "bfloat16")}"')
    lora = {name.rpartition(".")[2]: value for name, value in keys.items() if name.startswith("model.lora.")}
    return CONFIG.format(
        model="\n".join(lines),
        lora="\n".join(["[model.lora]", *(f"{name} = {json.dumps(value)}" for name, value in lora.items())])
        if lora
        else "",
        data=data.resolve(),
        pairs_per_step=keys.get("train.pairs_per_step", 4),
        tokens_per_pack=keys.get("train.tokens_per_pack", 4096),
        compile=keys.get("train.compile", "on"),
        checkpointing=str(keys.get("train.gradient_checkpointing", False)).lower(),
        strategy=keys.get("launch.strategy", "auto"),
        devices=keys.get("launch.devices", 1),
        sequence_parallel=keys.get("launch.sequence_parallel", 1),
    )


def random_model(sizes: Sizes, folder: Path) -> Path:
    """A model folder of these sizes with the built-in model's tokenizer, written by a process of its own."""
    made = folder / "model"
    call = f"from benchmarks.memory import *; write_model({sizes!r}, Path({str(made)!r}))"
    subprocess.run([sys.executable, "-c", call], check=True, capture_output=True)
    return made


def write_model(sizes: Sizes, folder: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    from engine.config.schema import Model
    from engine.models.load import load_tokenizer

    config = LlamaConfig(
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.kv_heads,
        intermediate_size=sizes.intermediate,
        vocab_size=sizes.vocabulary,
        tie_word_embeddings=sizes.tied,
        max_position_embeddings=sizes.positions,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    load_tokenizer(Model(**BUILTIN)).save_pretrained(folder)  # type: ignore[arg-type]


def error(row: Mapping[str, Any]) -> float:
    """Of the expectation, as a share of what was taken."""
    return float(row["expected"]["total"]) / 2**30 / float(row["taken"]) - 1


def table(rows: list[dict[str, Any]]) -> str:
    head = f"{'':<42} {'expected':>9} {'taken':>7} {'off by':>7}  moment    largest"
    return "\n".join([head, *map(line, rows)])


def line(row: Mapping[str, Any]) -> str:
    of = row["expected"]
    return (
        f"{row['case']:<42} {of['total'] / 2**30:>9.2f} {row['taken']:>7.2f} {error(row):>+7.1%}"
        f"  {of['moment']:<9} {of['largest']}"
    )


if __name__ == "__main__":
    sys.exit(main())
