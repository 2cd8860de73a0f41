"""Configs of XTuner's for tests: the least that is one, with statements behind it, and what becomes of them."""

from pathlib import Path
from typing import Any

from dpo_tui.importing.convert import Imported, import_config
from dpo_tui.importing.findings import Remark
from dpo_tui.importing.module import Module

FIXTURES = Path(__file__).parents[1] / "xtuner"

LEAST = """\
model = dict(type=DPO, llm=dict(pretrained_model_name_or_path="a/b"))
train_dataset = dict(dataset=dict(type=load_dataset, path="c/d"))
"""
NAMES = (
    "from somewhere import DPO, load_dataset, load_jsonl_dataset, torch, LoraConfig, AdamW, Lion, AmpOptimWrapper, "
    "LinearLR, CosineAnnealingLR, PolyLR, TrainLoop, EvaluateChatHook, MyHook, Visualizer, DeepSpeedStrategy, "
    "my_map_fn\n"
)


def written(folder: Path, text: str, name: str = "config.py") -> Path:
    """The text as a file."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def module(folder: Path, text: str) -> Module:
    """The names of a file."""
    return Module(written(folder, text)).read()


def imported(folder: Path, *lines: str) -> Imported:
    """The least config with lines behind it, which begin at its line 4."""
    return import_config(written(folder, NAMES + LEAST + "".join(f"{line}\n" for line in lines)))


def taken(config: Imported) -> dict[str, Any]:
    """The settings of ours by their dotted keys."""
    return {one.key: one.value for one in config.taken}


def remarks(config: Imported, kind: str) -> dict[str, Remark]:
    """The remarks of a kind by their code."""
    return {one.code: one for one in config.remarks if one.kind == kind}
