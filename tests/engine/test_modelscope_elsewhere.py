"""A model and data of ModelScope in the rest of the engine: the record of a run, the preview, the card, a whole run."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.config.schema import Config, Model
from engine.data.watch import nobody
from engine.exits import Exit, UnusableError
from engine.export.card import CardFacts, card_text
from engine.export.export import export
from engine.models.load import load_model, load_tokenizer
from engine.models.resolve import ResolvedModel
from engine.pins import pinned, resolved
from engine.preview.answers import Answers
from engine.preview.protocol import Request, encoded
from engine.rundir.paths import RunDir
from tests.engine.hub_here import NOBODY, everything_below, parquet
from tests.engine.internlm2_folder import write_internlm2
from tests.engine.preparing import chat_row
from tests.engine.scope_here import ask_at, scope_environment
from tests.engine.tiny_run import LORA, tiny_run
from tests.modelscope_server import SCOPE_TOKEN, ScopeServer

MODEL, PAIRS = "owner/tiny", "owner/pairs"
CONFIG = """
[run]
name = "scoped"
dir = "{folder}"

[model]
source = "modelscope"
id = "owner/tiny"
dtype = "float32"

[data]
max_length = 96
max_prompt_length = 48
eval_fraction = 0

[[data.sources]]
source = "modelscope"
path = "owner/pairs"
limit = 12

[train]
pairs_per_step = 4
tokens_per_pack = 256
max_steps = 2

[export]
verify = false
"""


@pytest.fixture
def server(server: ScopeServer, model: Path, pairs: Path) -> ScopeServer:
    server.add(MODEL, model)
    server.add(PAIRS, {"train.jsonl": pairs.read_bytes()}, "dataset")
    return server


def config(**more: Any) -> Config:
    model = {"source": "modelscope", "id": MODEL}
    source = {"source": "modelscope", "path": PAIRS}
    return Config.model_validate({"model": model, "data": {"sources": [source]}, **more})


def test_a_run_keeps_the_commits_of_its_first_start(
    server: ScopeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDir(tmp_path / "run")
    run.root.mkdir()
    first = pinned(config(), run)
    heads = [server.repos["model", MODEL].refs["master"], server.repos["dataset", PAIRS].refs["master"]]
    assert [first.model.revision, first.data.sources[0].revision] == heads
    server.move_on()
    assert resolved(config()).model.revision != heads[0]
    ask_at(NOBODY, monkeypatch)
    assert pinned(config(), run) == first
    run.revisions_json.write_text("{}")
    with pytest.raises(UnusableError, match="damaged"):
        pinned(config(), run)


def test_a_preview_tells_of_a_model_without_its_weights_and_of_rows_without_the_rest(
    server: ScopeServer, tmp_path: Path, model: Path
) -> None:
    shards = {f"data/train-{n}-of-3.parquet": parquet([chat_row(n)] * 600) for n in range(3)}
    server.add(PAIRS, shards, "dataset")
    (tmp_path / "scratch").mkdir()
    answers = Answers(tmp_path / "scratch")

    def answer(ask: str, **fields: Any) -> Any:
        return json.loads(encoded(dict(answers.answer(Request(1, ask, fields), nobody))))

    remote = {"source": "modelscope", "id": MODEL}
    facts = answer("model", model=remote)
    assert (facts["cached"], facts["commit"]) == (False, server.repos["model", MODEL].refs["master"])
    assert facts["bytes"] == (model / "model.safetensors").stat().st_size
    assert facts["layers"]
    source = {"source": "modelscope", "path": PAIRS}
    asked = {"model": remote, "data": {"sources": [source]}, "train": {"tokens_per_pack": 1 << 30}}
    report = answer("data", config=asked, rows=40)
    assert (report["rows"], report["partial"]) == (40, True)
    assert answer("columns", source=source)["detected"]
    assert not server.lines("safetensors")
    assert len(server.lines("/file/.*parquet")) == 1


def card(source: str, name: str = MODEL) -> str:
    of = config()
    asked = of.model_copy(update={"model": of.model.model_copy(update={"source": source, "id": name})})
    base = ResolvedModel("modelscope", name, Path("/nowhere"), None, "a" * 40, False)
    base = replace(base, source=source)  # type: ignore[arg-type]
    return card_text(
        CardFacts(
            config=asked,
            base=base,
            step=3,
            epoch=0.5,
            metrics={},
            steps=[],
            evals=[],
            dtype="bfloat16",
            adapter=False,
            chat=True,
            repo=None,
        ),
        False,
    )


def test_a_card_links_a_base_of_modelscope_and_claims_no_namesake() -> None:
    text = card("modelscope")
    assert "base_model" not in text
    assert "datasets:" not in text
    assert (
        f"`{MODEL}` on [ModelScope](https://www.modelscope.cn/models/{MODEL}) (commit `{'a' * 12}`)" in text
    )
    assert f"`{PAIRS}` on [ModelScope](https://www.modelscope.cn/datasets/{PAIRS})" in text
    assert 'base_model: "owner/tiny"' in card("hub")
    assert "/models/x%5D%28https%3A//evil.example%29)" in card("modelscope", "x](https://evil.example)")


@pytest.mark.parametrize("push", [None, "me/adapter"])
def test_an_adapter_of_a_base_of_modelscope_says_where_that_is(
    server: ScopeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, push: str | None
) -> None:
    """Here it must load; published it names no folder, and no commit that the Hugging Face hub does not have."""
    monkeypatch.setattr("engine.export.export.upload", lambda *_, **__: "")
    run = tiny_run(tmp_path / "run", MODEL, LORA, source="modelscope")
    done = export(run, adapter=True, push=push, verify=False)
    named = json.loads((done.path / "adapter_config.json").read_text())
    commit = server.repos["model", MODEL].refs["master"]
    here = tmp_path / "scope" / "models" / "owner--tiny" / "snapshots" / commit
    assert named["base_model_name_or_path"] == (MODEL if push else str(here))
    assert named["revision"] is None
    assert [notice.code for notice in done.notices] == ["export.modelscope_base"]
    assert "base_model" not in (done.path / "README.md").read_text()


def test_internlm2_of_modelscope_is_the_one_on_the_disk(server: ScopeServer, tmp_path: Path) -> None:
    """XTuner's quick start, from where it says its model is: without the code that comes with it."""
    name = "Shanghai_AI_Laboratory/internlm2-chat-1_8b-sft"
    (tmp_path / "internlm2").mkdir()
    folder = write_internlm2(tmp_path / "internlm2")
    (folder / "modeling_internlm2.py").write_text("raise SystemExit('ran')")
    server.add(name, folder)
    there, here = Model(source="modelscope", id=name), Model(source="local", id=str(folder))
    assert load_model(there).fingerprint == load_model(here).fingerprint
    assert load_tokenizer(there)("Hello, 你好").input_ids == load_tokenizer(here)("Hello, 你好").input_ids
    assert not server.lines(r"\.py$")


def test_a_run_from_modelscope_to_an_export(server: ScopeServer, tmp_path: Path) -> None:
    """In processes of their own, with the environment as people set it; the export needs no network any more."""
    run = RunDir(tmp_path / "scoped")
    run.root.mkdir()
    run.config.write_text(CONFIG.format(folder=tmp_path))

    def command(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = scope_environment(server.address, tmp_path, **more)
        argv = [sys.executable, "-m", "engine", *words]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=240)

    trained = command("run", str(run.root))
    assert trained.returncode == Exit.DONE, trained.stderr
    commit = server.repos["model", MODEL].refs["master"]
    assert json.loads(run.revisions_json.read_text())["model"]["commit"] == commit
    told = json.loads((run.export_dir / "dpo-tui.json").read_text())["base"]
    assert told == {"id": MODEL, "commit": commit, "source": "modelscope"}
    server.move_on()
    server.requests.clear()
    again = command("export", str(run.root), "--to", str(tmp_path / "again"), HF_HUB_OFFLINE="1")
    assert again.returncode == Exit.DONE, again.stderr
    assert not server.requests
    weights = "model.safetensors"
    assert (tmp_path / "again" / weights).read_bytes() == (run.export_dir / weights).read_bytes()
    assert SCOPE_TOKEN.encode() not in everything_below(tmp_path)
    assert SCOPE_TOKEN not in trained.stdout + trained.stderr + again.stdout + again.stderr
