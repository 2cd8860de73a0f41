"""Exports load anywhere and compute what was trained."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine import telling
from engine.__main__ import main as engine
from engine.exits import EngineError, Exit, UnusableError, UsageError
from engine.export.command import main
from engine.export.export import export
from engine.export.stages import counted
from engine.models.weights import save_trained
from engine.process import ProcessId
from engine.rounding import to_dtype
from engine.rundir.paths import RunDir
from tests.engine.tiny_folder import tiny_tokenizer, write_folder
from tests.engine.tiny_run import LORA, exported, fail_with, tiny_run, trained

IDS = torch.arange(3, 40)[None]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "secret-user" / "base", attention_dropout=0.1)


@pytest.fixture
def run(tmp_path: Path, model: Path) -> RunDir:
    return tiny_run(tmp_path / "run", model)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_exported_model_computes_bit_for_bit_what_was_trained(run: RunDir, dtype: str) -> None:
    folder = exported(run, dtype=dtype)
    kind = getattr(torch, dtype)
    again = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    assert again.dtype == kind
    assert again.config.dtype == kind
    expected = trained(run, 4)
    for parameter in expected.parameters():
        parameter.data = to_dtype(parameter.data, kind)
    assert torch.equal(again(IDS).logits, expected(IDS).logits)


def test_type_is_the_model_s_unless_said_otherwise(run: RunDir) -> None:
    assert json.loads((exported(run) / "config.json").read_text())["dtype"] == "bfloat16"


def test_config_says_again_what_its_author_said(run: RunDir) -> None:
    config = json.loads((exported(run) / "config.json").read_text())
    assert config["use_cache"] is True
    assert config["attention_dropout"] == 0.1


def test_tied_weights_are_stored_once(tmp_path: Path) -> None:
    model = write_folder(tmp_path / "tied", tie_word_embeddings=True)
    run = tiny_run(tmp_path / "run", model)
    folder = exported(run, dtype="float32")
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        assert "lm_head.weight" not in set(file.keys())
    again = AutoModelForCausalLM.from_pretrained(folder)
    assert again.lm_head.weight is again.model.embed_tokens.weight
    assert torch.equal(again(IDS).logits, trained(run, 4)(IDS).logits)


def test_lora_is_merged_into_the_base(tmp_path: Path, model: Path) -> None:
    run = tiny_run(tmp_path / "run", model, LORA)
    again = AutoModelForCausalLM.from_pretrained(exported(run, dtype="float32"))
    adapted = trained(run, 4)
    assert not isinstance(again, PeftModel)
    torch.testing.assert_close(again(IDS).logits, adapted(IDS).logits, atol=1e-6, rtol=1e-5)
    base = AutoModelForCausalLM.from_pretrained(model)
    assert (again(IDS).logits - base(IDS).logits).abs().max() > 1e-4


def test_adapter_alone_fits_its_base(tmp_path: Path, model: Path) -> None:
    run = tiny_run(tmp_path / "run", model, LORA)
    folder = exported(run, adapter=True, dtype="float32")
    assert not (folder / "model.safetensors").exists()
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    again = PeftModel.from_pretrained(base, folder)
    assert torch.equal(again(IDS).logits, trained(run, 4)(IDS).logits)


def test_full_training_has_no_adapter_to_export(run: RunDir) -> None:
    with pytest.raises(UsageError, match="Leave out --adapter"):
        export(run, adapter=True)


def test_tokenizer_template_and_ends_come_along(run: RunDir) -> None:
    folder = exported(run)
    again, ours = AutoTokenizer.from_pretrained(folder), tiny_tokenizer()
    turns = [{"role": "user", "content": "1 + 1 = 2, naïve 👍"}]
    assert again.apply_chat_template(turns) == ours.apply_chat_template(turns)
    ends = ours.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"])
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == ends


def test_template_of_the_config_is_the_one_exported(tmp_path: Path, model: Path) -> None:
    (tmp_path / "own.jinja").write_text("{% for m in messages %}[{{ m['content'] }}]{% endfor %}")
    run = tiny_run(tmp_path / "run", model, f'[data]\nchat_template = "{tmp_path / "own.jinja"}"\n')
    again = AutoTokenizer.from_pretrained(exported(run))
    assert again.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False) == "[x]"


def test_no_pickle_no_directory_names_and_one_mode_for_all_files(run: RunDir, tmp_path: Path) -> None:
    folder = exported(run)
    names = {path.name for path in folder.iterdir()}
    assert {"README.md", "curves.png", "config.json", "model.safetensors", "dpo-tui.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    assert_names_no_place(folder, tmp_path)
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def assert_names_no_place(folder: Path, place: Path) -> None:
    for path in folder.iterdir():
        content = path.read_bytes()
        assert str(place).encode() not in content, path.name
        assert b"secret-user" not in content, path.name


def test_adapter_of_a_local_base_says_so(tmp_path: Path, model: Path) -> None:
    run = tiny_run(tmp_path / "run", model, LORA)
    done = export(run, adapter=True, verify=False)
    config = json.loads((done.path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(model)
    assert [notice.code for notice in done.notices] == ["export.local_base"]
    assert str(model) in done.notices[0].text
    assert b"secret-user" not in (done.path / "README.md").read_bytes()


def test_published_adapter_names_no_directory(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.export.export.upload", lambda *_, **__: "")
    run = tiny_run(tmp_path / "run", model, LORA)
    done = export(run, adapter=True, push="me/mine", verify=False)
    assert_names_no_place(done.path, tmp_path)
    assert json.loads((done.path / "adapter_config.json").read_text())["base_model_name_or_path"] == "base"
    assert 'the name "base" only' in done.notices[0].text


@pytest.mark.parametrize(("checkpoint", "step"), [("latest", 6), ("best", 4), (2, 2)])
def test_checkpoint_is_chosen(tmp_path: Path, model: Path, checkpoint: object, step: int) -> None:
    run = tiny_run(tmp_path / "run", model, evals={2: 0.6, 4: 0.5, 6: 0.55})
    folder = exported(run, checkpoint=checkpoint, dtype="float32")
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


def test_weights_of_another_model_are_an_error_and_no_export(run: RunDir, tmp_path: Path) -> None:
    weights = run.checkpoints_dir / "step-4" / "weights.safetensors"
    save_trained({"other.weight": torch.zeros(2)}, weights)
    with pytest.raises(EngineError):
        export(run)
    assert not run.export_dir.exists()


def test_progress_counts_the_stages_that_there_are(run: RunDir) -> None:
    seen: list[tuple[int, int]] = []
    exported(run, tell=counted(lambda done, total: seen.append((done, total))))
    assert seen == [(1, 5), (2, 5), (3, 5)]


def test_command_prints_the_folder_and_nothing_else(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out"
    options = ["--to", str(target), "--dtype", "float16", "--checkpoint", "4", "--no-verify"]
    assert main([str(run.root), *options]) is Exit.DONE
    assert capsys.readouterr() == (f"{target}\n", "")
    assert json.loads((target / "config.json").read_text())["dtype"] == "float16"


def test_a_program_is_told_what_a_person_is(
    run: RunDir, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "_in_lines", False)
    guardians: list[ProcessId] = []
    monkeypatch.setattr("engine.__main__.parent_death_signal", guardians.append)
    exported(run, dtype="float32")
    assert engine(["--told", "7:1.5", "export", str(run.root), "--no-verify"]) == Exit.DONE
    assert engine(["--told", "7:1.5", "export", str(run.root), "--adapter"]) == Exit.USAGE
    assert guardians == [ProcessId(7, 1.5)] * 2
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
    note, error = lines
    assert (note["told"], note["code"], note["params"]["dtype"]) == ("note", "export.replaced", "float32")
    assert (error["told"], error["code"], error["params"]) == ("error", "export.no_adapter", {"run": "run"})


def test_config_can_do_without_the_proof(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.export.export.prove", fail_with(AssertionError("a proof nobody asked for")))
    run = tiny_run(tmp_path / "run", model, "[export]\nverify = false\n")
    assert main([str(run.root)]) is Exit.DONE
    assert json.loads((run.export_dir / "dpo-tui.json").read_text())["proof"] is None


def test_command_says_what_is_wrong_in_one_line(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    assert engine(["export", str(run.root), "--checkpoint", "9"]) is Exit.USAGE
    assert capsys.readouterr().err.count("\n") == 1
