"""Exports load anywhere and compute what was trained; nothing of anybody's is ever overwritten."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.__main__ import main as engine
from engine.exits import CannotWriteError, EngineError, Exit, HubError, UnusableError, UsageError
from engine.export.export import export, main
from engine.models.weights import save_trained
from engine.rounding import to_dtype
from engine.rundir.paths import RunDir
from tests.engine.tiny_folder import tiny_tokenizer, write_folder
from tests.engine.tiny_run import LORA, tiny_run, trained

IDS = torch.arange(3, 40)[None]
NAN = float("nan")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "secret-user" / "base", attention_dropout=0.1)


@pytest.fixture
def run(tmp_path: Path, model: Path) -> RunDir:
    return tiny_run(tmp_path / "run", model)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_exported_model_computes_bit_for_bit_what_was_trained(run: RunDir, dtype: str) -> None:
    folder = export(run, dtype=dtype)
    kind = getattr(torch, dtype)
    again = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    assert again.dtype == kind
    assert again.config.dtype == kind
    expected = trained(run, 4)
    for parameter in expected.parameters():
        parameter.data = to_dtype(parameter.data, kind)
    assert torch.equal(again(IDS).logits, expected(IDS).logits)


def test_type_is_the_model_s_unless_said_otherwise(run: RunDir) -> None:
    assert json.loads((export(run) / "config.json").read_text())["dtype"] == "bfloat16"


def test_config_says_again_what_its_author_said(run: RunDir) -> None:
    config = json.loads((export(run) / "config.json").read_text())
    assert config["use_cache"] is True
    assert config["attention_dropout"] == 0.1


def test_tied_weights_are_stored_once(tmp_path: Path) -> None:
    model = write_folder(tmp_path / "tied", tie_word_embeddings=True)
    run = tiny_run(tmp_path / "run", model)
    folder = export(run, dtype="float32")
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        assert "lm_head.weight" not in set(file.keys())
    again = AutoModelForCausalLM.from_pretrained(folder)
    assert again.lm_head.weight is again.model.embed_tokens.weight
    assert torch.equal(again(IDS).logits, trained(run, 4)(IDS).logits)


def test_lora_is_merged_into_the_base(tmp_path: Path, model: Path) -> None:
    run = tiny_run(tmp_path / "run", model, LORA)
    again = AutoModelForCausalLM.from_pretrained(export(run, dtype="float32"))
    adapted = trained(run, 4)
    assert not isinstance(again, PeftModel)
    torch.testing.assert_close(again(IDS).logits, adapted(IDS).logits, atol=1e-6, rtol=1e-5)
    base = AutoModelForCausalLM.from_pretrained(model)
    assert (again(IDS).logits - base(IDS).logits).abs().max() > 1e-4


def test_adapter_alone_fits_its_base(tmp_path: Path, model: Path) -> None:
    run = tiny_run(tmp_path / "run", model, LORA)
    folder = export(run, adapter=True, dtype="float32")
    assert not (folder / "model.safetensors").exists()
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    again = PeftModel.from_pretrained(base, folder)
    assert torch.equal(again(IDS).logits, trained(run, 4)(IDS).logits)
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == str(model)


def test_full_training_has_no_adapter_to_export(run: RunDir) -> None:
    with pytest.raises(UsageError, match="Leave out --adapter"):
        export(run, adapter=True)


def test_tokenizer_template_and_end_of_turn_come_along(run: RunDir) -> None:
    folder = export(run)
    again, ours = AutoTokenizer.from_pretrained(folder), tiny_tokenizer()
    turns = [{"role": "user", "content": "1 + 1 = 2, naïve 👍"}]
    assert again.apply_chat_template(turns) == ours.apply_chat_template(turns)
    end = ours.convert_tokens_to_ids("<|im_end|>")
    assert end in json.loads((folder / "generation_config.json").read_text())["eos_token_id"]


def test_template_of_the_config_is_the_one_exported(tmp_path: Path, model: Path) -> None:
    (tmp_path / "own.jinja").write_text("{% for m in messages %}[{{ m['content'] }}]{% endfor %}")
    run = tiny_run(tmp_path / "run", model, f'[data]\nchat_template = "{tmp_path / "own.jinja"}"\n')
    again = AutoTokenizer.from_pretrained(export(run))
    assert again.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False) == "[x]"


def test_no_pickle_no_directory_names_and_one_mode_for_all_files(run: RunDir, tmp_path: Path) -> None:
    folder = export(run)
    names = {path.name for path in folder.iterdir()}
    assert {"README.md", "curves.png", "config.json", "model.safetensors", "dpo-tui.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    for path in folder.iterdir():
        content = path.read_bytes()
        assert str(tmp_path).encode() not in content, path.name
        assert b"secret-user" not in content, path.name
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


@pytest.mark.parametrize(("checkpoint", "step"), [("latest", 6), ("best", 4), (2, 2)])
def test_checkpoint_is_chosen(tmp_path: Path, model: Path, checkpoint: object, step: int) -> None:
    run = tiny_run(tmp_path / "run", model, evals={2: 0.6, 4: 0.5, 6: 0.55})
    folder = export(run, checkpoint=checkpoint, dtype="float32")  # type: ignore[arg-type]
    again = AutoModelForCausalLM.from_pretrained(folder)
    assert torch.equal(again(IDS).logits, trained(run, step)(IDS).logits)
    assert json.loads((folder / "dpo-tui.json").read_text())["step"] == step


def test_checkpoints_that_are_not_there_are_named(tmp_path: Path, run: RunDir, model: Path) -> None:
    with pytest.raises(UsageError, match=r"no checkpoint of step 7\. Checkpoints: 4"):
        export(run, checkpoint=7)
    with pytest.raises(UsageError, match="none is the best"):
        export(run, checkpoint="best")
    empty = tiny_run(tmp_path / "empty", model)
    (empty.checkpoints_dir / "step-4").rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="no checkpoint yet"):
        export(empty)


def test_damaged_checkpoint_is_not_exported(run: RunDir) -> None:
    weights = run.checkpoints_dir / "step-4" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UnusableError, match="is damaged"):
        export(run)
    assert not run.export_dir.exists()


def test_earlier_export_is_replaced_whole(run: RunDir) -> None:
    folder = export(run, dtype="float32")
    again = export(run, dtype="bfloat16")
    assert again == folder
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".export")]


def test_empty_folder_may_be_filled(run: RunDir, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert export(run, to=tmp_path / "empty") == tmp_path / "empty"


@pytest.mark.parametrize("case", ["foreign", "added", "git", "home", "root", "file", "link", "run"])
def test_folder_that_is_not_ours_is_left_alone(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    target = tmp_path / "target"
    precious = target / "precious.txt"
    if case == "added":
        export(run, to=target)
    target.mkdir(exist_ok=True)
    precious.write_text("mine")
    monkeypatch.setenv("HOME", str(target) if case == "home" else "/nowhere")
    if case in ("git", "home"):
        precious = target / ".git"
        (target / "precious.txt").rename(precious)
    (tmp_path / "link").symlink_to(target)
    targets = {"root": Path("/"), "file": precious, "link": tmp_path / "link", "run": run.root}
    before = sorted(os.listdir(target))
    with pytest.raises(UsageError, match="nothing is written there") as caught:
        export(run, to=targets.get(case, target))
    assert caught.value.code == "export.bad_target"
    assert sorted(os.listdir(target)) == before
    assert precious.read_text() == "mine"


def test_disk_too_small_is_said_before_anything_is_written(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.export.folder.free_bytes", lambda _path: 100)
    with pytest.raises(CannotWriteError, match="no space left"):
        export(run, to=tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_while_writing_leaves_the_earlier_export(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    folder = export(run, dtype="float32")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr("engine.export.files.write_card", fail)
    with pytest.raises((CannotWriteError, KeyboardInterrupt)):
        export(run, dtype="bfloat16")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".export")]


def test_weights_of_another_model_are_an_error_and_no_export(run: RunDir, tmp_path: Path) -> None:
    weights = run.checkpoints_dir / "step-4" / "weights.safetensors"
    save_trained({"other.weight": torch.zeros(2)}, weights)
    with pytest.raises(EngineError):
        export(run)
    assert not run.export_dir.exists()


def test_progress_counts_to_its_end(run: RunDir) -> None:
    seen: list[tuple[int, int]] = []
    export(run, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1][0] == seen[-1][1]


def test_command_prints_the_folder_and_nothing_else(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out"
    assert main([str(run.root), "--to", str(target), "--dtype", "float16", "--checkpoint", "4"]) is Exit.DONE
    assert capsys.readouterr().out == f"{target}\n"
    assert json.loads((target / "config.json").read_text())["dtype"] == "float16"


def test_command_says_what_is_wrong_in_one_line(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert engine(["export", str(run.root), "--checkpoint", "9"]) is Exit.USAGE
    assert capsys.readouterr().err.count("\n") == 1


def test_what_libraries_print_stays_off_stdout(tmp_path: Path, model: Path) -> None:
    run = tiny_run(tmp_path / "lora", model, LORA)
    command = [sys.executable, "-P", "-m", "engine", "export", str(run.root)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{run.export_dir}\n"), done.stderr
    assert done.stderr == ""


def test_failed_upload_keeps_the_folder_and_says_how_to_repeat(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, private: bool) -> str:
        raise HubError("hub.auth", "Cannot upload to me/mine: log in.", repo="me/mine")

    monkeypatch.setattr("engine.export.export.upload", refuse)
    with pytest.raises(HubError) as caught:
        export(run, push="me/mine", private=False)
    assert caught.value.text.endswith(f"dpo-tui export {run.root} --push me/mine --public")
    assert str(run.export_dir) in caught.value.text
    assert (run.export_dir / "model.safetensors").is_file()
    with pytest.raises(HubError, match=f"me/mine --to {tmp_path}/new --checkpoint 4 --dtype float16$"):
        export(run, push="me/mine", to=tmp_path / "new", checkpoint=4, dtype="float16")


def test_command_uploads_only_when_told(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[Path, str, bool]] = []
    monkeypatch.setattr(
        "engine.export.export.upload", lambda folder, repo, private: sent.append((folder, repo, private))
    )
    assert main([str(run.root)]) is Exit.DONE
    assert sent == []
    assert main([str(run.root), "--push", "me/mine"]) is Exit.DONE
    assert sent == [(run.export_dir, "me/mine", True)]


def test_repo_that_is_none_is_refused_before_the_export(run: RunDir) -> None:
    with pytest.raises(UsageError, match="owner/name"):
        export(run, push="https://huggingface.co/me/mine")
    assert not run.export_dir.exists()
