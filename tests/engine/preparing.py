"""Rows in files, a config around them, and what stands in the pairs made of them."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from engine.config.schema import Config
from engine.data import collect
from engine.data.prepared.pairs import PairStore
from engine.data.prepared.prepared_set import Prepared

Row = dict[str, Any]
Prepare = Callable[..., Prepared]
"""Prepares a config for a run of a name, with a tokenizer if one is given."""


def row(number: int, **changes: Any) -> Row:
    """A row of plain text."""
    return {"prompt": f"The sky {number}", "chosen": f" is blue {number}", "rejected": " is green", **changes}


def chat_row(number: int, **changes: Any) -> Row:
    """A row of chat messages."""
    return {
        "prompt": [{"role": "user", "content": f"The sky {number}?"}],
        "chosen": [{"role": "assistant", "content": f"blue {number}"}],
        "rejected": [{"role": "assistant", "content": "green"}],
        **changes,
    }


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """A JSON Lines file."""
    path.write_text("".join(json.dumps(entry) + "\n" for entry in rows))
    return path


def config_for(*files: Path, pairs_per_step: int = 1, seed: int = 0, **data: Any) -> Config:
    """A config that reads these files."""
    return config_of(*map(local, files), pairs_per_step=pairs_per_step, seed=seed, **data)


def local(file: Path, **more: Any) -> dict[str, Any]:
    """A source that is a file."""
    return {"source": "local", "path": str(file), **more}


def config_of(*sources: Mapping[str, Any], pairs_per_step: int = 1, seed: int = 0, **data: Any) -> Config:
    """A config that reads these sources, written as in `[[data.sources]]`."""
    values = {
        "run": {"seed": seed},
        "model": {"id": "unused"},
        "data": {"max_length": 64, "max_prompt_length": 32, "sources": list(sources), **data},
        "train": {"pairs_per_step": pairs_per_step},
    }
    return Config.model_validate(values)


def texts(store: PairStore | None, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """The chosen side of each pair, whole."""
    return [str(tokenizer.decode(store[n].chosen.tolist())) for n in range(len(store))] if store else []


def count_readings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets a 1 whenever a source is read."""
    readings: list[int] = []
    read = collect.Collector.read

    def counted(*arguments: Any) -> int:
        readings.append(1)
        return read(*arguments)

    monkeypatch.setattr(collect.Collector, "read", counted)
    return readings
