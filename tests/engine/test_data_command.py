"""`python -m engine data`: the report on a terminal or as JSON, for a config or for bare pairs."""

import json
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from engine.config.schema import Model
from engine.data import command
from engine.data.command import main
from engine.exits import Exit, UnusableError, UsageError


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch, tiny_tokenizer: PreTrainedTokenizerBase) -> list[Model]:
    """Models whose tokenizer was asked for; all get the tiny one."""
    asked: list[Model] = []

    def load(model: Model) -> PreTrainedTokenizerBase:
        asked.append(model)
        return tiny_tokenizer

    monkeypatch.setattr(command, "load_tokenizer", load)
    return asked


def write_pairs(path: Path, count: int = 25, answer: str = " is blue") -> Path:
    rows = [{"prompt": f"The sky {n}", "chosen": answer, "rejected": " is green"} for n in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_config(path: Path, pairs: Path) -> Path:
    source = f'[[data.sources]]\nsource = "local"\npath = "{pairs}"\n'
    path.write_text(f'[model]\nid = "owner/name"\n[data]\neval_fraction = 0.2\n{source}')
    return path


def test_a_bare_path_is_reported_with_the_built_in_tokenizer(
    tmp_path: Path, models: list[Model], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(write_pairs(tmp_path / "a.jsonl"))]) == Exit.DONE
    out = capsys.readouterr().out
    assert "trl-explicit (detected)" in out
    assert "25  pairs kept: 24 to train on, 1 to evaluate" in out
    assert "▸  is blue<|im_end|>" in out
    assert (models[0].source, models[0].id) == ("builtin", "smollm2-135m-instruct")


def test_json_is_one_object_with_the_report_and_a_pair(
    tmp_path: Path, models: list[Model], capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["--json", "--model", "owner/name", "--", str(write_pairs(tmp_path / "a.jsonl"))]) == Exit.DONE
    )
    told = json.loads(capsys.readouterr().out)
    assert (told["rows"], told["train"], told["eval"], told["dropped"]) == (25, 24, 1, {})
    assert told["example"]["chosen"] == " is blue<|im_end|>"
    assert (models[0].source, models[0].id) == ("hub", "owner/name")


def test_a_config_is_reported_as_training_would_read_it(
    tmp_path: Path, models: list[Model], capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path / "run.toml", write_pairs(tmp_path / "a.jsonl"))
    assert main([str(config), "--set", "train.pairs_per_step=4"]) == Exit.DONE
    assert "20 to train on, 5 to evaluate" in capsys.readouterr().out
    assert models[0].id == "owner/name"


def test_too_few_pairs_fail_after_the_report(
    tmp_path: Path, models: list[Model], capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path / "run.toml", write_pairs(tmp_path / "a.jsonl", 5))
    with pytest.raises(UnusableError, match="one step takes 16"):
        main([str(config)])
    assert "5  rows read" in capsys.readouterr().out


def test_row_text_cannot_steer_the_terminal(
    tmp_path: Path, models: list[Model], capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(write_pairs(tmp_path / "a.jsonl", answer=" \x1b]52;c;eA==\x07\u202e\x9b"))])
    out = capsys.readouterr().out
    assert "\\x1b]52;c;eA==\\x07\\u202e\\x9b" in out
    assert not set("\x1b\x07\u202e\x9b") & set(out)


@pytest.mark.parametrize("name", ["/nope", "./nope", "~/nope"])
def test_a_path_to_no_model_is_no_repo_id(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnusableError, match=r"nope: no such model folder or \.gguf file\.$"):
        main([str(write_pairs(tmp_path / "a.jsonl")), "--model", name])


def test_options_that_make_no_sense_together_are_refused(tmp_path: Path, models: list[Model]) -> None:
    pairs = write_pairs(tmp_path / "a.jsonl")
    with pytest.raises(UsageError, match="--set changes a config"):
        main([str(pairs), "--set", "run.seed=1"])
    with pytest.raises(UsageError, match=r"model\.id"):
        main([str(write_config(tmp_path / "run.toml", pairs)), "--model", "x"])
