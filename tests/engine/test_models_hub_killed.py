"""A download that is killed half way: what there is of it is never used, and the next start completes it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from engine.config.schema import Model, Source
from engine.data.files.hub import open_hub
from engine.exits import HubError
from engine.models.load import load_model
from engine.models.resolve import resolve
from tests.engine.hub_here import hub_environment, parquet, set_offline
from tests.engine.tiny_folder import write_folder
from tests.hub_server import HubServer
from tests.waiting import until

MODEL, PAIRS = "owner/tiny", "owner/pairs"
ROWS = [{"prompt": f"p{n}", "chosen": f"c{n}" * 30, "rejected": f"r{n}" * 40} for n in range(40)]


@pytest.fixture
def hub(hub: HubServer, tmp_path: Path) -> HubServer:
    hub.add(MODEL, write_folder(tmp_path / "base", shard="40KB"))
    parts = {f"train-0000{n}-of-00002.parquet": parquet(ROWS[20 * n : 20 * n + 20]) for n in range(2)}
    hub.add(PAIRS, parts, "dataset")
    return hub


def killed_at(hub: HubServer, folder: Path, file: str, model: str, pairs: str) -> None:
    """Has a process of its own prepare the pairs, and kills it when half of `file`, and other files, have arrived."""
    hub.fail(f"GET .*{file}", kind="hang")
    config = folder / "run.toml"
    config.write_text(f"[model]\n{model}\n[[data.sources]]\n{pairs}\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "data", str(config)],
        env=hub_environment(hub.address, folder / "home"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: hub.lines(f"GET .*{file}") and complete_files())
    finally:
        process.kill()
        process.wait()
    hub.faults.clear()


def complete_files() -> list[Path]:
    return list(Path(constants.HF_HUB_CACHE).glob("*/snapshots/*/*"))


def test_half_a_model_is_not_loaded(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = "model-00003-of-00004.safetensors"
    (tmp_path / "pairs.jsonl").write_text(json.dumps(ROWS[0]) + "\n")
    killed_at(
        hub,
        tmp_path,
        shard,
        f'id = "{MODEL}"',
        f'source = "local"\npath = "{tmp_path / "pairs.jsonl"}"',
    )
    set_offline(True, monkeypatch)
    with pytest.raises(HubError, match=rf"is incomplete: it lacks .* run `hf download {MODEL}") as caught:
        resolve(Model(id=MODEL))
    assert shard in caught.value.params["lacking"]
    set_offline(False, monkeypatch)
    assert load_model(Model(id=MODEL)).fingerprint == load_model(local(tmp_path / "base")).fingerprint


def local(folder: Path) -> Model:
    return Model(source="local", id=str(folder))


def test_half_a_dataset_is_not_read(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_at(
        hub,
        tmp_path,
        "train-00001-of-00002.parquet",
        f'source = "local"\nid = "{tmp_path / "base"}"',
        f'path = "{PAIRS}"',
    )
    set_offline(True, monkeypatch)
    with pytest.raises(
        HubError, match=rf"HF_HUB_OFFLINE is set.* run `hf download {PAIRS} --repo-type dataset"
    ):
        open_hub(Source(path=PAIRS))
    set_offline(False, monkeypatch)
    assert [fields for _, fields in open_hub(Source(path=PAIRS))[1]] == ROWS
    set_offline(True, monkeypatch)
    assert [fields for _, fields in open_hub(Source(path=PAIRS))[1]] == ROWS
