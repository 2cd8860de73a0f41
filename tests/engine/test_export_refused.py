"""Exports that are refused: of a tokenizer, a base or numbers that are not those trained, or by the disk."""

import json
import os
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from peft.tuners.lora import Linear
from torch import nn

from engine.config.load import load_config
from engine.exits import CannotWriteError, Exit, UnusableError, UsageError
from engine.export.export import export
from engine.export.source import Layout
from engine.export.tokenizer import note_tokenizer
from engine.models.load import load_tokenizer
from engine.rundir.paths import RunDir
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_run import LORA, exported, tiny_run, trained


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that a test may change."""
    return write_folder(tmp_path / "base")


def noted(run: RunDir) -> RunDir:
    """As training leaves it, which noted its tokenizer before its first checkpoint."""
    config = load_config(run.config).config
    hidden = run.checkpoints_dir.rename(run.root / "hidden")
    note_tokenizer(run, config, load_tokenizer(config.model))
    hidden.rename(run.checkpoints_dir)
    return run


def refusal(run: RunDir) -> UnusableError:
    with pytest.raises(UnusableError) as caught:
        exported(run)
    assert "\n" not in caught.value.text
    assert not run.export_dir.exists()
    return caught.value


CHANGED = {
    "chat template": ("chat_template.jinja", "<|im_end|>", "<|im_end|> "),
    "tokenizer's EOS": ("tokenizer_config.json", '"eos_token": "<|endoftext|>"', '"eos_token": "<|im_end|>"'),
    "tokenizer's vocabulary": ("tokenizer.json", '"a":', '"é":'),
    "tokenizer's way to split": ("tokenizer.json", '"add_prefix_space": false', '"add_prefix_space": true'),
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_tokenizer_that_changed_since_the_training_is_not_exported(
    tmp_path: Path, model: Path, what: str
) -> None:
    run = noted(tiny_run(tmp_path / "run", model))
    name, found, put = CHANGED[what]
    text = (model / name).read_text()
    assert found in text
    (model / name).write_text(text.replace(found, put))
    error = refusal(run)
    assert error.code == "export.tokenizer_changed"
    assert f"The {what} is no longer the one that run was trained with" in error.text
    run.encoding_json.unlink()  # as the message says
    assert exported(run) == run.export_dir


@pytest.mark.parametrize("layout", get_args(Layout))
def test_an_adapter_in_a_layout_is_refused_before_anything_is_read(tmp_path: Path, layout: Layout) -> None:
    run = RunDir(tmp_path)
    run.config.write_text(
        '[model]\nid = "a/b"\n[model.lora]\n[[data.sources]]\nsource = "builtin"\npath = "quickstart"\n'
    )
    with pytest.raises(UsageError, match=rf"--layout {layout} .*--no-adapter"):
        export(run, adapter=True, layout=layout)


def test_the_template_file_counts_by_its_text(tmp_path: Path, model: Path) -> None:
    template = tmp_path / "own.jinja"
    template.write_text("{% for m in messages %}[{{ m['content'] }}]{% endfor %}")
    run = noted(tiny_run(tmp_path / "run", model, f'[data]\nchat_template = "{template}"\n'))
    assert (exported(run) / "chat_template.jinja").read_text() == template.read_text()
    template.write_text(template.read_text() + "!")
    with pytest.raises(UnusableError, match="The chat template is no longer the one"):
        exported(run)
    template.unlink()
    with pytest.raises(UnusableError, match=r"own\.jinja cannot be read: No such file") as caught:
        exported(run)
    assert caught.value.exit is Exit.UNUSABLE


def test_what_the_first_checkpoint_was_trained_on_holds_for_the_later_ones(
    tmp_path: Path, model: Path
) -> None:
    run = noted(tiny_run(tmp_path / "run", model))
    before = run.encoding_json.read_bytes()
    config = load_config(run.config).config
    tokenizer = load_tokenizer(config.model)
    tokenizer.chat_template = "another"
    note_tokenizer(run, config, tokenizer)
    assert run.encoding_json.read_bytes() == before


def test_an_adapter_is_not_put_on_a_base_that_changed(tmp_path: Path, model: Path) -> None:
    run = tiny_run(tmp_path / "run", model, LORA)
    write_folder(model, initializer_range=0.3)
    error = refusal(run)
    assert error.code == "export.base_changed"
    assert "its weights have changed" in error.text


@pytest.mark.parametrize("failing", [".export.staging", "export"])
@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_rename_that_fails_leaves_the_earlier_export_in_its_place(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, failing: str, failure: BaseException
) -> None:
    run = tiny_run(tmp_path / "run", model)
    folder = exported(run, dtype="float32")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    rename = os.rename

    def fail(old: Any, new: Any) -> None:
        if Path(old).name == failing:
            raise failure
        rename(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail)
        with pytest.raises((CannotWriteError, KeyboardInterrupt)):
            exported(run, dtype="bfloat16")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not [path for path in run.root.iterdir() if path.name.startswith(".export")]
    assert json.loads((exported(run, dtype="bfloat16") / "dpo-tui.json").read_text())["dtype"] == "bfloat16"


def test_a_merge_that_computes_otherwise_is_refused(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Linear.get_delta_weight
    monkeypatch.setattr(Linear, "get_delta_weight", lambda self, name: right(self, name) * 1.1)
    run = tiny_run(tmp_path / "run", model, LORA)
    with pytest.raises(
        UnusableError, match=r"moves logits by .* and rounding explains .*--adapter"
    ) as caught:
        export(run)
    assert caught.value.code == "export.merge_differs"
    assert not run.export_dir.exists()


def test_weights_too_large_for_the_type_are_refused(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blown_up(run: RunDir, step: int) -> nn.Module:
        policy = trained(run, step)
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.mul_(1e6)
        return policy

    monkeypatch.setattr("tests.engine.tiny_run.trained", blown_up)
    run = tiny_run(tmp_path / "run", model)
    with pytest.raises(
        UnusableError, match=r"logits are NaN in prompt 1: .* Choose another --dtype"
    ) as caught:
        export(run, dtype="float16")
    assert caught.value.code == "export.cannot_compute"
    assert not run.export_dir.exists()
