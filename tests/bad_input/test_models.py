"""Models that cannot be trained, or would run somebody's code: refused before the data is read, nothing executed."""

import json
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.exits import Exit
from tests.bad_input.command import Command, failed
from tests.engine.runs import write_pairs
from tests.engine.tiny_folder import edit_config

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path, model: Path) -> Path:
    """A copy of the tiny model, to break."""
    return Path(shutil.copytree(model, tmp_path / "model"))


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A file that exists only if code from a model was run."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "code from the model was run"


class Touch:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mknod, (str(self._path),)


def trained(dpo_tui: Command, config: Path, folder: Path, *words: str, code: Exit = Exit.UNUSABLE) -> None:
    """Training is refused with these words, before the pairs are read."""
    outcome = dpo_tui("--headless", config, f"--set=model.id={folder}")
    failed(outcome, code, *words)
    assert not outcome.run.data_dir.exists()


def test_a_folder_without_weights_is_refused(dpo_tui: Command, config: Path, folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    trained(dpo_tui, config, folder, str(folder), f"has no {WEIGHTS}", "Is the folder complete?")


def test_pickled_weights_are_refused_and_never_opened(
    dpo_tui: Command, config: Path, folder: Path, canary: Path
) -> None:
    (folder / WEIGHTS).unlink()
    torch.save({"lm_head.weight": Touch(canary)}, folder / "pytorch_model.bin")
    trained(dpo_tui, config, folder, "its weights are pickled", "Use a safetensors version")


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "training_args.bin", "optimizer.pt", "tokenizer.pkl", "vocab.pkl"]
)
def test_a_pickle_beside_good_weights_is_never_opened(
    dpo_tui: Command, config: Path, folder: Path, canary: Path, name: str
) -> None:
    (folder / name).write_bytes(pickle.dumps(Touch(canary)))
    outcome = dpo_tui("--headless", config, f"--set=model.id={folder}", "--set=train.max_steps=1")
    assert outcome.code == Exit.DONE, outcome.err
    assert not (outcome.run.export_dir / name).exists()


@pytest.mark.parametrize("kind", ["llama", "my_own_llama"])
def test_code_that_comes_with_a_model_is_not_run(
    dpo_tui: Command, config: Path, folder: Path, canary: Path, kind: str
) -> None:
    code = f"open({str(canary)!r}, 'w').close()\n"
    for name in ("modeling_own", "configuration_own", "tokenization_own"):
        (folder / f"{name}.py").write_text(code)
    auto = {"AutoConfig": "configuration_own.C", "AutoModelForCausalLM": "modeling_own.M"}
    edit_config(folder, model_type=kind, auto_map=auto)
    path = folder / "tokenizer_config.json"
    tokenizer = {"AutoTokenizer": ["tokenization_own.T", "tokenization_own.T"]}
    path.write_text(json.dumps({**json.loads(path.read_text()), "auto_map": tokenizer}))
    if kind == "llama":  # transformers knows it by itself: its own code is used
        assert dpo_tui("--headless", config, f"--set=model.id={folder}").code == Exit.DONE
    else:
        trained(dpo_tui, config, folder, 'is of type "my_own_llama"', "Read that code")


def test_remote_code_needs_a_commit_that_somebody_has_read(dpo_tui: Command, config: Path) -> None:
    outcome = dpo_tui("--headless", config, "--set", "model.trust_remote_code=true")
    assert (outcome.code, outcome.run.root.exists()) == (Exit.USAGE, False)
    assert "--set model.trust_remote_code=true: only works with source = 'hub'" in outcome.err
    hub = ["--set=model.source=hub", "--set=model.id=me/mine", "--set=model.revision=main"]
    outcome = dpo_tui("--headless", config, "--set", "model.trust_remote_code=true", *hub)
    assert outcome.code == Exit.USAGE
    assert "needs the commit whose code you have read" in outcome.err


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[:-100], "is unusable"),
        (lambda data: data[:7], "is unusable"),
        (lambda _data: b"", "is unusable"),
        (lambda data: b"\xff" * 8 + data[8:], "is unusable"),
        (lambda data: data[:8] + b"{" * (len(data) - 8), "is unusable"),
    ],
)
def test_damaged_weights_are_named(
    dpo_tui: Command, config: Path, folder: Path, damage: Any, words: str
) -> None:
    (folder / WEIGHTS).write_bytes(damage((folder / WEIGHTS).read_bytes()))
    trained(dpo_tui, config, folder, WEIGHTS, words, "Download the model again")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.json", "", "config.json cannot be read"),
        ("config.json", "[]", 'names no "model_type"'),
        ("config.json", "[" * 100_000, "config.json cannot be read"),
        ("config.json", '{"model_type": "vit"}', "needs a causal language model"),
        ("config.json", '{"model_type": "no-such"}', "does not know"),
        ("config.json", '{"model_type": "llama", "hidden_size": "x"}', "'hidden_size' expected int, got str"),
        ("config.json", '{"model_type": "llama", "num_attention_heads": 0}', "cannot be loaded: "),
        ("tokenizer.json", "{", "The tokenizer of "),
        ("tokenizer.json", "[]", "The tokenizer of "),
        ("tokenizer_config.json", "[]", "The tokenizer of "),
        ("model.safetensors.index.json", "{}", "is not a weights index"),
        ("model.safetensors.index.json", '{"weight_map": {"a": "../../etc/passwd"}}', "passwd is unusable"),
        ("adapter_config.json", "{}", "holds a LoRA adapter"),
    ],
)
def test_a_broken_file_of_a_model_is_named(
    dpo_tui: Command, config: Path, folder: Path, name: str, content: str, words: str
) -> None:
    (folder / name).write_text(content)
    outcome = dpo_tui("--headless", config, f"--set=model.id={folder}")
    failed(outcome, Exit.UNUSABLE, str(folder), words)


def test_weights_of_another_shape_are_refused(dpo_tui: Command, config: Path, folder: Path) -> None:
    edit_config(folder, hidden_size=64)
    outcome = dpo_tui("--headless", config, f"--set=model.id={folder}")
    failed(outcome, Exit.UNUSABLE, str(folder))


def test_weights_that_lack_a_layer_are_refused(dpo_tui: Command, config: Path, folder: Path) -> None:
    edit_config(folder, num_hidden_layers=3)
    outcome = dpo_tui("--headless", config, f"--set=model.id={folder}")
    failed(outcome, Exit.UNUSABLE, str(folder), "lacks", "model.layers.2.")


def test_conversations_need_a_chat_template(dpo_tui: Command, config: Path, folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    outcome = dpo_tui("--headless", config, f"--set=model.id={folder}")
    failed(outcome, Exit.UNUSABLE, "no chat template", "chat_template in [data]")


def test_plain_text_needs_none(dpo_tui: Command, config: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    path = write_pairs(tmp_path / "plain.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    plain = [{key: messages[0]["content"] for key, messages in row.items()} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in plain))
    settings = [f"--set=model.id={folder}", f"--set=data.sources.0.path={path}", "--set=train.max_steps=1"]
    assert dpo_tui("--headless", config, *settings).code == Exit.DONE
