"""What a preview answers: models of the hub by their small files, kept tokenizers, columns, and every failure told."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from engine.data.watch import nobody
from engine.exits import EngineError, HubError, StopRequested, UnusableError, UsageError
from engine.models.load import load_tokenizer
from engine.preview import command, tokenizers
from engine.preview.answers import Answers
from engine.preview.protocol import Line, Request, encoded
from engine.preview.scratch import FRESH_SECONDS, scratch_folder
from tests.engine.hub_here import parquet, set_offline
from tests.engine.preparing import chat_row, row, write
from tests.engine.previewing import config_of
from tests.engine.tiny_folder import edit_config, write_folder
from tests.hub_server import HubServer

REPO = "owner/tiny"
CARD = b'---\nlicense: other\nlicense_name: "tiny-1\\e[2J"\n---\n# Tiny'


@pytest.fixture
def answers(tmp_path: Path) -> Answers:
    (tmp_path / "scratch").mkdir()
    return Answers(tmp_path / "scratch")


def answer(answers: Answers, ask: str, **fields: Any) -> Any:
    """An answer as it arrives: after its way through JSON."""
    return json.loads(encoded(dict(answers.answer(Request(1, ask, fields), nobody))))


def remote(repo: str = REPO, **more: Any) -> dict[str, Any]:
    return {"source": "hub", "id": repo, **more}


def test_model_of_the_hub_is_told_without_its_weights(hub: HubServer, answers: Answers, model: Path) -> None:
    files = {file.name: file.read_bytes() for file in model.iterdir()}
    repo = hub.add(REPO, {**files, "README.md": CARD})
    facts = answer(answers, "model", model=remote())
    here = answer(answers, "model", model={"source": "local", "id": str(model)})
    same = ("architecture", "parameters", "dtype", "bytes", "layers", "vocabulary", "chat_template")
    assert [facts[name] for name in same] == [here[name] for name in same]
    assert (facts["cached"], facts["commit"]) == (False, repo.refs["main"])
    assert facts["license"] == "tiny-1\\x1b[2J"
    whole = [request for request in hub.requests if "model.safetensors" in request.path and not request.range]
    assert all(request.method == "HEAD" for request in whole)


def test_sharded_model_of_the_hub_is_added_up(hub: HubServer, answers: Answers, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "sharded", shard="40KB")
    hub.add(REPO, folder)
    facts = answer(answers, "model", model=remote())
    here = answer(answers, "model", model={"source": "local", "id": str(folder)})
    assert (facts["parameters"], facts["bytes"]) == (here["parameters"], here["bytes"])


def test_model_in_the_cache_is_told_without_a_hub(
    hub: HubServer, answers: Answers, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(REPO, model)
    first = answer(answers, "model", model=remote())
    set_offline(True, monkeypatch)
    again = answer(answers, "model", model=remote())
    assert again == {**first, "parameters": None, "dtype": None}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantization_config": {"bits": 4}}, "model.quantized"),
        ({"model_type": "t5"}, "model.not_causal"),
        ({"model_type": "own", "auto_map": {"AutoModelForCausalLM": "own.Own"}}, "model.remote_code"),
    ],
)
def test_model_that_cannot_be_trained_is_refused_as_in_training(
    hub: HubServer, answers: Answers, tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    folder = write_folder(tmp_path / "model")
    edit_config(folder, **changes)
    hub.add(REPO, folder)
    with pytest.raises(UnusableError) as caught:
        answer(answers, "model", model=remote())
    assert caught.value.code == code


def test_repo_of_pickles_is_refused_by_its_listing(hub: HubServer, answers: Answers, model: Path) -> None:
    files = {file.name: file.read_bytes() for file in model.iterdir()}
    files["pytorch_model.bin"] = files.pop("model.safetensors")
    hub.add(REPO, files)
    with pytest.raises(UnusableError, match="pickled") as caught:
        answer(answers, "model", model=remote())
    assert caught.value.code == "model.no_safetensors"
    assert not hub.lines("resolve/.*bin")


def test_tokenizer_of_the_same_model_is_loaded_once(
    answers: Answers, tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = load_tokenizer

    def counted(resolved: Any) -> PreTrainedTokenizerBase:
        loaded.append(resolved.id)
        return load(resolved)

    monkeypatch.setattr(tokenizers, "load_tokenizer", counted)
    folder = write_folder(tmp_path / "model")
    answer(answers, "model", model={"source": "local", "id": str(folder)})
    answer(answers, "data", config=config_of(folder, pairs), rows=5)
    answer(answers, "data", config=config_of(folder, pairs), rows=6)
    assert len(loaded) == 1
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": "{{ messages }}"}))
    answer(answers, "model", model={"source": "local", "id": str(folder)})
    assert len(loaded) == 2


def test_data_set_of_the_hub_is_streamed(hub: HubServer, answers: Answers, model: Path) -> None:
    rows = [row(n) for n in range(40)]
    hub.add("owner/pairs", {"data/train-0.parquet": parquet(rows)}, "dataset")
    config = config_of(model)
    config["data"]["sources"] = [{"source": "hub", "path": "owner/pairs"}]
    told = answer(answers, "data", config=config, rows=10)
    assert (told["rows"], told["partial"]) == (10, True)
    columns = answer(answers, "columns", source={"source": "hub", "path": "owner/pairs"})
    assert [column["name"] for column in columns["columns"]] == ["prompt", "chosen", "rejected"]
    assert columns["detected"] == "trl-explicit"


def test_without_a_network_a_downloaded_data_set_will_do(
    hub: HubServer, answers: Answers, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add("owner/pairs", {"data/train-0.parquet": parquet([row(n) for n in range(40)])}, "dataset")
    config = config_of(model)
    config["data"]["sources"] = [{"source": "hub", "path": "owner/pairs"}]
    answer(answers, "data", config=config)
    set_offline(True, monkeypatch)
    assert answer(answers, "data", config=config, rows=10)["rows"] == 10
    config["data"]["sources"][0]["path"] = "owner/other"
    with pytest.raises(HubError) as caught:
        answer(answers, "data", config=config, rows=10)
    assert caught.value.code == "hub.offline"


@pytest.mark.parametrize(("rows", "partial"), [(9, True), (10, False), (11, False)])
def test_a_part_is_told_from_the_whole(
    answers: Answers, model: Path, tmp_path: Path, rows: int, partial: bool
) -> None:
    file = write(tmp_path / "ten.jsonl", [row(n) for n in range(10)])
    assert answer(answers, "data", config=config_of(model, file), rows=rows)["partial"] is partial


def test_a_limit_of_the_config_makes_no_part(answers: Answers, model: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "ten.jsonl", [row(n) for n in range(10)])
    config = config_of(model, file)
    config["data"]["sources"][0]["limit"] = 5
    told = answer(answers, "data", config=config, rows=8)
    assert (told["rows"], told["partial"]) == (5, False)


@pytest.mark.parametrize(("rows", "warned"), [(9, False), (10, True)])
def test_a_value_that_only_later_rows_may_have_is_no_warning_of_a_part(
    answers: Answers, model: Path, tmp_path: Path, rows: int, warned: bool
) -> None:
    file = write(tmp_path / "ten.jsonl", [row(n, source="web" if n else "book") for n in range(10)])
    config = config_of(model, file)
    config["data"]["sources"][0]["exclude"] = {"source": ["book", "forum"]}
    told = answer(answers, "data", config=config, rows=rows)
    excluded = [(one["value"], one["rows"]) for one in told["sources"][0]["excluded"]]
    assert excluded == [('"book"', 1), ('"forum"', 0)]
    assert ("data.exclude_unmatched" in [notice["code"] for notice in told["warnings"]]) == warned


def test_no_pair_left_is_a_report_like_any_other(answers: Answers, model: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [row(n, chosen=" same", rejected=" same") for n in range(3)])
    told = answer(answers, "data", config=config_of(model, file), rows=10)
    assert (told["count"], told["pairs"], told["dropped"]["equal"]["count"]) == (0, [], 3)


def test_pairs_stay_those_of_the_last_answer(answers: Answers, model: Path, pairs: Path) -> None:
    with pytest.raises(UsageError) as caught:
        answer(answers, "pair", index=0)
    assert caught.value.code == "preview.no_pair"
    answer(answers, "data", config=config_of(model, pairs), rows=10)
    with pytest.raises(EngineError):
        answer(answers, "data", config=config_of(model, Path("/nowhere")), rows=10)
    assert answer(answers, "pair", index=9)["index"] == 9


def test_columns_are_described_and_a_mapping_suggested(answers: Answers, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"the_question": "", "accepted_answer": "y" * 300, "reject": [1], "sys_system": None, "n": 3},
        {"the_question": "Why?", "more": True, "chat": [{"role": "user", "content": "ü"}]},
    ]
    told = answer(
        answers, "columns", source={"source": "local", "path": str(write(tmp_path / "a.jsonl", rows))}
    )
    columns = {column["name"]: column for column in told["columns"]}
    kinds = {name: column["kind"] for name, column in columns.items()}
    assert kinds == {
        "the_question": "text",
        "accepted_answer": "text",
        "reject": "list",
        "sys_system": "empty",
        "n": "number",
        "more": "boolean",
        "chat": "messages",
    }
    assert columns["the_question"]["example"] == "Why?"
    assert len(columns["accepted_answer"]["example"]) == 200
    assert "ü" in columns["chat"]["example"]
    suggested = {"prompt": "the_question", "chosen": "accepted_answer", "rejected": "reject"}
    assert told["suggested"] == {**suggested, "system": "sys_system"}
    assert told["detected"] is None
    assert "trl-explicit" in told["formats"]
    assert "vision" not in told["formats"]


def test_no_column_is_suggested_where_none_is_near(answers: Answers, tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [{"zzz": "a"}])
    told = answer(answers, "columns", source={"source": "local", "path": str(file)})
    assert told["suggested"] == {"prompt": None, "chosen": None, "rejected": None}


def test_source_without_rows_has_no_columns(answers: Answers, tmp_path: Path) -> None:
    with pytest.raises(UnusableError) as caught:
        answer(answers, "columns", source={"source": "local", "path": str(write(tmp_path / "a.jsonl", []))})
    assert caught.value.code == "data.no_rows"


def test_chosen_format_is_taken_as_given(answers: Answers, model: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [chat_row(n) for n in range(3)])
    config = config_of(model, file)
    config["data"]["sources"][0]["format"] = "no-such-format"
    with pytest.raises(UsageError) as caught:
        answer(answers, "data", config=config, rows=10)
    assert caught.value.code == "data.unknown_format"


@pytest.mark.parametrize("failure", [RuntimeError("a\x1bb"), MemoryError(), SystemExit(3), RecursionError()])
def test_failure_nobody_foresaw_is_told_and_survived(failure: BaseException) -> None:
    class Failing:
        def answer(self, *_: object) -> None:
            raise failure

    told: list[Line] = []
    command._answer(Request(7, "data", {}), Failing(), told.append)  # type: ignore[arg-type]
    assert (told[0]["id"], told[0]["error"]["code"]) == (7, "preview.failed")
    assert told[0]["error"]["params"]["kind"] == type(failure).__name__
    assert json.loads(encoded(told[0])) == told[0]


def test_request_cancelled_before_its_turn_is_not_begun(answers: Answers) -> None:
    with pytest.raises(StopRequested):
        answers.answer(Request(1, "data", {}, cancelled=True), nobody)


def test_folder_of_a_killed_preview_is_removed_and_that_of_a_live_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed, fresh = tmp_path / "dpo-preview-killed", tmp_path / "dpo-preview-fresh"
    for folder in (killed, fresh):
        folder.mkdir()
        (folder / "train.arrow").write_bytes(b"x")
    with scratch_folder() as live:
        for folder in (killed, live):
            then = folder.stat().st_mtime - 2 * FRESH_SECONDS
            os.utime(folder, (then, then))
        with scratch_folder():
            assert (killed.exists(), fresh.exists(), live.exists()) == (False, True, True)
    assert not live.exists()
