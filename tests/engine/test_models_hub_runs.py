"""A whole run in processes of their own, with the hub in the environment: model, pairs, a failed upload, another."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.exits import Exit
from engine.rundir.events import read_events
from engine.rundir.paths import RunDir
from tests.engine.hub_here import everything_below, hub_environment
from tests.engine.runs import of_type
from tests.hub_server import TOKEN, HubServer, serving

CONFIG = """
[run]
name = "hubbed"
dir = "{folder}"

[model]
id = "owner/tiny"
dtype = "float32"

[data]
max_length = 96
max_prompt_length = 48
eval_fraction = 0

[[data.sources]]
path = "owner/pairs"
limit = 12
streaming = true

[train]
pairs_per_step = 4
tokens_per_pack = 256
max_steps = 2

[export]
verify = false
push = "owner/trained"
"""


@pytest.fixture
def hub(model: Path, pairs: Path) -> Iterator[HubServer]:
    with serving(HubServer()) as hub:
        hub.add("owner/tiny", model)
        hub.add("owner/pairs", {"train.jsonl": pairs.read_bytes()}, "dataset")
        yield hub


def command(hub: HubServer, folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = hub_environment(hub.address, folder / "home", **more)
    return subprocess.run(
        [sys.executable, "-m", "engine", *words], env=environment, capture_output=True, text=True, timeout=240
    )


def test_a_run_from_the_hub_to_the_hub_keeps_its_commits_and_survives_a_failed_upload(
    hub: HubServer, tmp_path: Path
) -> None:
    run = RunDir(tmp_path / "hubbed")
    run.root.mkdir()
    run.config.write_text(CONFIG.format(folder=tmp_path))
    commit = hub.repos["model", "owner/tiny"].refs["main"]
    refusal = hub.fail("POST .*/commit/", status=403)

    ended = command(hub, tmp_path, "run", str(run.root))
    last = of_type(list(read_events(run.events)), "end")[-1]
    assert ended.returncode == last["exit_code"] == Exit.HUB, ended.stderr
    assert "Cannot upload to owner/trained: the hub wants a login that may write there (403)" in last["text"]
    assert (run.export_dir / "model.safetensors").is_file()
    assert list(run.checkpoints_dir.glob("step-2"))
    assert json.loads(run.revisions_json.read_text())["model"]["commit"] == commit
    assert run.encoding_json.is_file()

    hub.faults.remove(refusal)
    hub.move_on()
    hub.requests.clear()
    again = shlex.split(last["text"][last["text"].index("dpo-tui export") :].rstrip("."))[1:]
    exported = command(hub, tmp_path, *again)
    assert exported.returncode == Exit.DONE, exported.stderr
    assert not hub.lines("owner/(tiny|pairs)/(resolve|tree|revision)")
    uploaded = hub.repos["model", "owner/trained"].head
    assert json.loads(uploaded["dpo-tui.json"])["base"]["commit"] == commit
    assert set(uploaded) - {".gitattributes", "moved.txt"} == {file.name for file in run.export_dir.iterdir()}
    assert TOKEN.encode() not in everything_below(tmp_path)
    assert TOKEN not in ended.stdout + ended.stderr + exported.stdout + exported.stderr
