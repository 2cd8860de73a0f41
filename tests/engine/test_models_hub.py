"""Models of the hub, from a server on this machine: what is fetched, of which commit, and when nothing is."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from engine.config.schema import Model
from engine.exits import HubError
from engine.models.hub import commit_of, snapshot
from engine.models.load import load_model, load_tokenizer
from engine.models.resolve import resolve
from tests.engine.hub_here import NOBODY, everything_below, forget, point_at, set_offline
from tests.engine.tiny_folder import write_folder
from tests.hub_repo import Repo
from tests.hub_server import TOKEN, HubServer

REPO = "owner/tiny"
REMOTE = Model(source="hub", id=REPO)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of four shards."""
    return write_folder(tmp_path_factory.mktemp("repo"), shard="40KB")


@pytest.fixture
def repo(hub: HubServer, folder: Path) -> Repo:
    return hub.add(REPO, folder)


def fetched(hub: HubServer) -> set[str]:
    return {line.rsplit("/", 1)[1] for line in hub.lines("GET .*/resolve/")}


def test_model_and_tokenizer_come_from_the_hub_and_the_commit_is_recorded(
    hub: HubServer, repo: Repo, folder: Path
) -> None:
    loaded = load_model(REMOTE)
    tokenizer = load_tokenizer(REMOTE)
    here = Model(source="local", id=str(folder))
    assert loaded.origin.commit == repo.refs["main"]
    assert loaded.fingerprint == load_model(here).fingerprint
    assert tokenizer("Hello").input_ids == load_tokenizer(here)("Hello").input_ids
    assert tokenizer.chat_template
    assert fetched(hub) == {file.name for file in folder.iterdir()}


def test_only_what_training_needs_is_fetched(hub: HubServer, folder: Path) -> None:
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    extra = [
        "modeling_own.py",
        "pytorch_model.bin",
        "consolidated.safetensors",
        "onnx/model.onnx",
        "tf/config.json",
    ]
    hub.add(REPO, {**files, **dict.fromkeys(extra, b"x"), "README.md": b"# Tiny"})
    resolve(REMOTE)
    assert fetched(hub) == {*files, "README.md"}


@pytest.mark.parametrize("revision", [None, "main", "v1"])
def test_branches_and_tags_are_looked_up(
    hub: HubServer, repo: Repo, folder: Path, revision: str | None
) -> None:
    repo.refs["v1"] = repo.refs["main"]
    assert resolve(Model(id=REPO, revision=revision)).commit == repo.refs["main"]


@pytest.mark.parametrize("place", ["/tree/", "GET .*/resolve/.*config"])
def test_branch_that_moves_in_the_middle_leaves_one_commit(hub: HubServer, repo: Repo, place: str) -> None:
    first = repo.refs["main"]
    hub.fail(place, kind="move", times=1)
    commit = resolve(REMOTE).commit
    assert commit == first != repo.refs["main"]
    asked = [line for line in hub.lines("owner/tiny") if first not in line]
    assert asked == ["GET /api/models/owner/tiny"]  # for the branch, once
    assert load_model(REMOTE).origin.commit == first


def test_second_start_needs_no_hub(hub: HubServer, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    first = resolve(REMOTE)
    hub.requests.clear()
    set_offline(True, monkeypatch)
    assert resolve(REMOTE) == first
    assert resolve(Model(id=REPO, revision=repo.refs["main"])).commit == first.commit
    set_offline(False, monkeypatch)
    point_at(NOBODY, monkeypatch)
    assert resolve(REMOTE) == first
    assert not hub.requests


def test_going_on_with_a_remembered_commit_is_told(
    hub: HubServer, repo: Repo, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    commit = commit_of(REPO, None, "model")
    repo.commit({"new": b""})
    hub.fail("/api/", status=503)
    assert commit_of(REPO, None, "model") == commit
    assert commit in caplog.text
    assert "503" in caplog.text


def test_refusal_is_no_reason_to_go_on_with_a_remembered_commit(hub: HubServer, repo: Repo) -> None:
    resolve(REMOTE)
    forget()
    hub.fail("/api/", status=403)
    with pytest.raises(HubError, match="403"):
        commit_of(REPO, None, "model")


def test_commit_is_not_looked_up(hub: HubServer) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    assert commit_of(REPO, commit, "model") == commit
    assert not hub.requests


def test_large_files_may_live_on_another_host_that_never_sees_the_token(hub: HubServer, repo: Repo) -> None:
    hub.cdn = hub.address.replace("127.0.0.1", "localhost")
    load_model(REMOTE)
    elsewhere = [request for request in hub.requests if request.host.startswith("localhost")]
    assert {request.path.split("/")[1] for request in elsewhere} == {"objects"}
    assert not [request for request in elsewhere if request.token]


def test_hub_that_sends_elsewhere_does_not_get_the_token_sent_there(hub: HubServer, repo: Repo) -> None:
    other = hub.address.replace("127.0.0.1", "localhost")
    for place in (f"/api/models/{REPO}/revision/main", f"/api/models/{REPO}", f"/api/models/{REPO}/tree"):
        hub.fail(rf"^GET {place}$", status=307, headers={"Location": other + place}, times=1)
    resolve(REMOTE)
    elsewhere = [request for request in hub.requests if request.host.startswith("localhost")]
    assert elsewhere
    assert not [request for request in elsewhere if request.token]
    assert [request for request in hub.requests if request.token == f"Bearer {TOKEN}"]


def test_token_stands_in_no_file(hub: HubServer, repo: Repo, tmp_path: Path) -> None:
    load_model(REMOTE)
    assert TOKEN.encode() not in everything_below(tmp_path)


@pytest.mark.parametrize("lost", ["model-00002-of-00004.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("away", ["offline", "unreachable"])
def test_incomplete_snapshot_is_refused_with_what_it_lacks(
    hub: HubServer, repo: Repo, monkeypatch: pytest.MonkeyPatch, lost: str, away: str
) -> None:
    (resolve(REMOTE).path / lost).unlink()
    forget()
    if away == "offline":
        set_offline(True, monkeypatch)
    else:
        point_at(NOBODY, monkeypatch)
    with pytest.raises(HubError) as caught:
        resolve(REMOTE)
    assert f"is incomplete: it lacks {lost}" in caught.value.text
    assert ("HF_HUB_OFFLINE" if away == "offline" else NOBODY) in caught.value.text
    if away == "offline":
        assert f"hf download {REPO} --revision {repo.refs['main']}" in caught.value.text


@pytest.mark.parametrize(
    ("lost", "problem"),
    [
        ("model-00002-of-00004.safetensors", "model-00002-of-00004.safetensors is unusable: it is missing"),
        ("model*", "has no model.safetensors nor an index of several. If the cache is incomplete, run"),
        ("tokenizer.json", "has no tokenizer: expected tokenizer.json"),
        ("config.json", "has no config.json"),
    ],
)
def test_incomplete_snapshot_without_a_listing_is_refused_as_well(
    hub: HubServer, repo: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lost: str, problem: str
) -> None:
    """As another program, or an older huggingface_hub, may have left it."""
    here = resolve(REMOTE).path
    home = tmp_path / "other"
    shutil.copytree(Path(constants.HF_HUB_CACHE), home, symlinks=True)
    shutil.rmtree(next(home.glob("*/trees")))
    for file in (home / here.relative_to(constants.HF_HUB_CACHE)).glob(lost):
        file.unlink()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home))
    set_offline(True, monkeypatch)
    with pytest.raises(Exception, match=problem) as caught:
        resolve(REMOTE)
    assert f"hf download {REPO} --revision {repo.refs['main']}" in str(caught.value)


@pytest.mark.parametrize("fault", [{"kind": "cut"}, {"kind": "drop"}, {"status": 500}, {"kind": "short"}])
def test_transfer_that_breaks_leaves_nothing_to_be_taken_for_whole(
    hub: HubServer, repo: Repo, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    broken = "model-00003-of-00004.safetensors"
    hub.fail(f"GET .*{broken}", **fault)
    with pytest.raises(HubError, match=f"Cannot download {REPO}"):
        snapshot(REPO, None, code=False)
    assert not list(Path(constants.HF_HUB_CACHE).rglob("*.incomplete"))
    set_offline(True, monkeypatch)
    with pytest.raises(HubError, match=f"lacks .*{broken}.*hf download {REPO}"):
        resolve(REMOTE)
    hub.faults.clear()
    set_offline(False, monkeypatch)
    assert load_model(REMOTE).origin.commit == repo.refs["main"]


@pytest.mark.parametrize("fault", [{"kind": "cut"}, {"kind": "drop"}, {"status": 502}, {"status": 429}])
@pytest.mark.parametrize("place", ["/api/", "HEAD", "GET .*model-00002"])
def test_passing_fault_is_got_over(hub: HubServer, repo: Repo, fault: dict[str, Any], place: str) -> None:
    hub.fail(place, times=2, **fault)
    assert load_model(REMOTE).origin.commit == repo.refs["main"]
