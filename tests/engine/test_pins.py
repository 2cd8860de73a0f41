"""The commits a run is made of: looked up once, written down, and kept while branches move and networks fail."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.config.schema import Config
from engine.exits import Exit, HubError, UnusableError
from engine.pins import pinned, resolved
from engine.rundir.paths import RunDir
from tests.engine.hub_here import NOBODY, point_at, set_offline
from tests.hub_server import TOKEN, HubServer

MODEL = {"source": "hub", "id": "owner/tiny"}
PAIRS = {"source": "hub", "path": "owner/pairs"}
LOCAL = {"source": "local", "path": "/data/pairs.jsonl"}


@pytest.fixture
def hub(hub: HubServer) -> HubServer:
    hub.add("owner/tiny", {"config.json": b"{}"})
    hub.add("owner/pairs", {"train.jsonl": b"{}"}, "dataset")
    return hub


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    (tmp_path / "run").mkdir()
    return RunDir(tmp_path / "run")


def config(model: dict[str, Any] = MODEL, *sources: dict[str, Any]) -> Config:
    return Config.model_validate({"model": model, "data": {"sources": list(sources or (PAIRS,))}})


def commits(of: Config) -> list[str | None]:
    return [of.model.revision, *(source.revision for source in of.data.sources)]


def heads(hub: HubServer) -> list[str]:
    return [hub.repos["model", "owner/tiny"].refs["main"], hub.repos["dataset", "owner/pairs"].refs["main"]]


def test_revisions_become_the_commits_of_now_and_nothing_else_changes(hub: HubServer) -> None:
    asked = config(MODEL, {**PAIRS, "split": "test", "limit": 3}, LOCAL)
    fixed = resolved(asked)
    assert commits(fixed) == [*heads(hub), None]
    data = {"sources": [{**source.model_dump(), "revision": None} for source in fixed.data.sources]}
    again = fixed.model_copy(update={"model": asked.model, "data": asked.data})
    assert again == asked
    assert data["sources"] == [source.model_dump() for source in asked.data.sources]
    assert commits(asked) == [None, None, None]
    assert not hub.lines("resolve|tree")


def test_what_is_not_from_the_hub_needs_no_hub_and_no_record(hub: HubServer, run: RunDir) -> None:
    asked = config(
        {"source": "local", "id": "/models/tiny"}, LOCAL, {"source": "builtin", "path": "quickstart"}
    )
    assert resolved(asked) == pinned(asked, run) == asked
    assert not hub.requests
    assert not run.revisions_json.exists()


def test_commits_of_the_first_start_hold_while_branches_move(hub: HubServer, run: RunDir) -> None:
    first = heads(hub)
    assert commits(pinned(config(), run)) == first
    hub.move_on()
    assert commits(resolved(config())) == heads(hub) != first
    assert commits(pinned(config(), run)) == first


@pytest.mark.parametrize("away", ["offline", "unreachable", "forgetful"])
def test_commits_of_the_first_start_hold_without_a_network(
    hub: HubServer, run: RunDir, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, away: str
) -> None:
    first = commits(pinned(config(), run))
    hub.move_on()
    hub.requests.clear()
    if away == "offline":
        set_offline(True, monkeypatch)
    elif away == "unreachable":
        point_at(NOBODY, monkeypatch)
    else:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    assert commits(pinned(config(), run)) == first
    assert not hub.requests


def test_the_record_says_what_was_asked_and_what_was_found(hub: HubServer, run: RunDir) -> None:
    hub.repos["model", "owner/tiny"].refs["v1"] = heads(hub)[0]
    pinned(config({**MODEL, "revision": "v1"}, LOCAL, PAIRS), run)
    model, data = heads(hub)
    assert json.loads(run.revisions_json.read_text()) == {
        "model": {"id": "owner/tiny", "revision": "v1", "commit": model},
        "data": [None, {"path": "owner/pairs", "revision": None, "commit": data}],
    }
    assert TOKEN not in run.revisions_json.read_text()


def test_nothing_is_recorded_unless_all_is_found(hub: HubServer, run: RunDir) -> None:
    with pytest.raises(HubError, match="the dataset owner/nothing"):
        pinned(config(MODEL, PAIRS, {**PAIRS, "path": "owner/nothing"}), run)
    assert not run.revisions_json.exists()


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"[]",
        b'{"model": null, "data": [null]}',
        b'{"model": {"id": "owner/tiny", "revision": null, "commit": "main"}, "data": []}',
    ],
)
def test_a_damaged_record_is_not_replaced_in_silence(hub: HubServer, run: RunDir, record: bytes) -> None:
    run.revisions_json.write_bytes(record)
    with pytest.raises(UnusableError, match=r"revisions\.json is damaged, or of another config") as caught:
        pinned(config(), run)
    assert caught.value.exit is Exit.UNUSABLE
    assert run.revisions_json.read_bytes() == record


@pytest.mark.parametrize(
    "other",
    [
        config({**MODEL, "revision": "v1"}),
        config(MODEL, {**PAIRS, "path": "owner/others"}),
        config(MODEL, PAIRS, PAIRS),
        config(MODEL, LOCAL, PAIRS),
        config({"source": "local", "id": "/models/tiny"}),
    ],
)
def test_a_record_of_another_config_is_refused(hub: HubServer, run: RunDir, other: Config) -> None:
    pinned(config(), run)
    with pytest.raises(UnusableError, match="of another config"):
        pinned(other, run)
