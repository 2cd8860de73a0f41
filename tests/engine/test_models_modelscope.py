"""Models of ModelScope, from a server on this machine: what is fetched, of which commit, and when nothing is."""

import logging
import os
from pathlib import Path

import pytest
from modelscope_hub import HubApi, HubConfig

from engine.config.schema import Model
from engine.exits import HubError
from engine.models.load import load_model, load_tokenizer
from engine.models.modelscope import snapshot as scope
from engine.models.resolve import glance, resolve
from tests.engine.hub_here import NOBODY, everything_below
from tests.engine.scope_here import ask_at, contents, fetched, switch_off
from tests.engine.tiny_folder import write_folder
from tests.hub_repo import Repo
from tests.modelscope_server import SCOPE_TOKEN, ScopeServer

REPO = "Owner_1/tiny.v1"
REMOTE = Model(source="modelscope", id=REPO)
SHARD = "model-00003-of-00004.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of four shards."""
    return write_folder(tmp_path_factory.mktemp("repo"), shard="40KB")


@pytest.fixture
def repo(server: ScopeServer, folder: Path) -> Repo:
    return server.add(REPO, folder)


def test_model_and_tokenizer_come_from_modelscope_and_the_commit_is_recorded(
    server: ScopeServer, repo: Repo, folder: Path
) -> None:
    loaded = load_model(REMOTE)
    here = Model(source="local", id=str(folder))
    assert loaded.origin.commit == repo.refs["master"]
    assert loaded.origin.source == "modelscope"
    assert loaded.fingerprint == load_model(here).fingerprint
    assert load_tokenizer(REMOTE)("Hello").input_ids == load_tokenizer(here)("Hello").input_ids
    assert contents(resolve(REMOTE).path) == contents(folder)
    assert fetched(server) == {file.name for file in folder.iterdir()}


def test_neither_code_nor_pickles_nor_folders_are_fetched(server: ScopeServer, folder: Path) -> None:
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    extra = ["modeling_own.py", "tokenizer_own.py", "pytorch_model.bin", "model.pt", "consolidated.safetensors",
             "configuration.pkl", "onnx/model.onnx", "tf/config.json", ".msc"]  # fmt: skip
    server.add(REPO, {**files, **dict.fromkeys(extra, b"x"), "README.md": b"# Tiny"})
    resolve(REMOTE)
    assert fetched(server) == {*files, "README.md"}


@pytest.mark.parametrize("revision", [None, "master", "v1", "feature/a b"])
def test_branches_and_tags_are_looked_up(server: ScopeServer, repo: Repo, revision: str | None) -> None:
    if revision:
        repo.refs[revision] = repo.refs["master"]
    assert resolve(Model(source="modelscope", id=REPO, revision=revision)).commit == repo.refs["master"]


def test_the_head_is_found_where_files_were_changed_by_different_commits(
    server: ScopeServer, repo: Repo
) -> None:
    old = repo.refs["master"]
    head = repo.commit({**repo.commits[old], "README.md": b"# New"}, "master")
    assert resolve(REMOTE).commit == head
    assert resolve(Model(source="modelscope", id=REPO, revision=old)).commit == old


def test_a_head_that_is_not_told_is_stood_in_for_by_the_files(
    server: ScopeServer, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.heads_told = False
    commit = resolve(REMOTE).commit
    assert commit != repo.refs["master"]
    assert {line.split("/file/")[1].split("/")[0] for line in server.lines("/file/")} == {"master"}
    server.move_on()
    scope.snapshot.cache_clear()
    assert resolve(REMOTE).commit != commit
    switch_off(True, monkeypatch)
    assert resolve(Model(source="modelscope", id=REPO, revision=commit)).commit == commit


def test_a_commit_is_not_answered_for_with_another(server: ScopeServer, repo: Repo) -> None:
    wanted = "0123456789abcdef0123456789abcdef01234567"
    repo.commits[wanted] = repo.commits[repo.refs["master"]]
    repo.refs[wanted] = repo.refs["master"]
    with pytest.raises(HubError) as caught:
        resolve(Model(source="modelscope", id=REPO, revision=wanted))
    assert caught.value.code == "modelscope.no_hub"


@pytest.mark.parametrize("place", ["repo/files", "/file/.*config"])
def test_branch_that_moves_in_the_middle_leaves_one_commit(
    server: ScopeServer, repo: Repo, place: str
) -> None:
    first = repo.refs["master"]
    server.fail(place, kind="move", times=1)
    commit = resolve(REMOTE).commit
    assert commit == (repo.refs["master"] if place == "repo/files" else first)
    assert {line.split("/file/")[1].split("/")[0] for line in server.lines("/file/")} == {commit}


@pytest.mark.parametrize("switch", ["HF_HUB_OFFLINE", "MODELSCOPE_OFFLINE", "away"])
def test_second_start_needs_no_network(
    server: ScopeServer, repo: Repo, monkeypatch: pytest.MonkeyPatch, switch: str
) -> None:
    first = resolve(REMOTE)
    server.requests.clear()
    if switch == "away":
        ask_at(NOBODY, monkeypatch)
    elif switch == "MODELSCOPE_OFFLINE":
        monkeypatch.setenv("MODELSCOPE_OFFLINE", "1")
        scope.snapshot.cache_clear()
    else:
        switch_off(True, monkeypatch)
    assert resolve(REMOTE) == first
    assert resolve(Model(source="modelscope", id=REPO, revision=first.commit)).commit == first.commit
    with pytest.raises(HubError) as caught:
        resolve(Model(source="modelscope", id="owner/other"))
    assert caught.value.code == ("modelscope.unreachable" if switch == "away" else "modelscope.offline")
    assert switch == "away" or f"({switch} is set)" in caught.value.text
    assert not server.requests


def test_modelscope_can_be_left_on_while_the_hugging_face_hub_is_off(
    server: ScopeServer, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch_off(True, monkeypatch)
    monkeypatch.setenv("MODELSCOPE_OFFLINE", "0")
    assert resolve(REMOTE).commit == repo.refs["master"]


def test_offline_needs_no_package_and_reads_a_cache_that_cannot_be_written(
    server: ScopeServer, repo: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = resolve(REMOTE)
    switch_off(True, monkeypatch)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    for checked in (tmp_path / "scope").rglob("checked/*.json"):
        checked.write_text("{}")
    refused = OSError(30, "Read-only file system")

    def read_only(*_: object, **__: object) -> None:
        raise refused

    monkeypatch.setattr(scope, "write_whole", read_only)
    assert resolve(REMOTE) == first


def test_going_on_with_a_remembered_commit_is_told(
    server: ScopeServer, repo: Repo, caplog: pytest.LogCaptureFixture
) -> None:
    commit = resolve(REMOTE).commit
    server.move_on()
    scope.snapshot.cache_clear()
    server.fail("repo/files", status=503)
    with caplog.at_level(logging.WARNING):
        assert resolve(REMOTE).commit == commit
    assert f"Going on with commit {commit}" in caplog.text


def test_refusal_is_no_reason_to_go_on_with_a_remembered_commit(server: ScopeServer, repo: Repo) -> None:
    resolve(REMOTE)
    scope.snapshot.cache_clear()
    server.fail("repo/files", status=403)
    with pytest.raises(HubError, match="403"):
        resolve(REMOTE)


@pytest.mark.parametrize("layout", ["branch", "older", "oldest"])
def test_what_modelscope_s_own_tools_downloaded_is_not_fetched_again(
    server: ScopeServer, repo: Repo, folder: Path, tmp_path: Path, layout: str
) -> None:
    cache = tmp_path / "scope"
    old = {
        "branch": None,
        "older": cache / "models/Owner_1/tiny___v1",
        "oldest": cache / "hub/models/Owner_1/tiny___v1",
    }
    api = HubApi(HubConfig(endpoint=server.address, cache_dir=cache, token=""))
    api.download_repo(REPO, "model", local_dir=old[layout])
    server.requests.clear()
    assert contents(resolve(REMOTE).path) == contents(folder)
    assert not fetched(server)
    assert api.download_repo(REPO, "model", revision=repo.refs["master"], local_files_only=True)


def test_another_commit_fetches_only_what_changed(server: ScopeServer, repo: Repo) -> None:
    resolve(REMOTE)
    server.requests.clear()
    server.move_on()
    scope.snapshot.cache_clear()
    assert (resolve(REMOTE).path / "moved.txt").is_file()
    assert fetched(server) == {"moved.txt"}


def test_a_tree_too_large_for_a_list_still_shows_its_top(
    server: ScopeServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    server.add(REPO, {**{f"a/{n}.json": b"{}" for n in range(30)}, **files})
    server.cap = 20
    monkeypatch.setattr("engine.models.modelscope.listing.TRUNCATED", 20)
    assert contents(resolve(REMOTE).path) == contents(folder)


def test_a_glance_leaves_the_weights_where_they_are(server: ScopeServer, repo: Repo) -> None:
    seen = glance(REMOTE)
    assert seen.commit == repo.refs["master"]
    assert not [name for name in fetched(server) if name.endswith(".safetensors")]
    assert resolve(REMOTE).path == seen.path


def test_the_token_goes_to_modelscope_alone_and_into_no_file(
    server: ScopeServer, repo: Repo, tmp_path: Path
) -> None:
    repo.private = True
    server.cdn = server.address.replace("127.0.0.1", "localhost")
    load_model(REMOTE)
    elsewhere = [request for request in server.requests if request.host.startswith("localhost")]
    assert elsewhere
    assert not [request for request in elsewhere if request.token or request.cookie]
    assert [request for request in server.requests if request.token == f"Bearer {SCOPE_TOKEN}"]
    assert SCOPE_TOKEN.encode() not in everything_below(tmp_path)


def test_a_list_that_is_sent_elsewhere_does_not_get_the_token_sent_there(
    server: ScopeServer, repo: Repo
) -> None:
    other = server.address.replace("127.0.0.1", "localhost")
    place = f"/api/v1/models/{REPO}/repo/files?Revision=master&Recursive=True"
    server.fail("repo/files", status=307, headers={"Location": other + place}, times=1)
    resolve(REMOTE)
    elsewhere = [request for request in server.requests if request.host.startswith("localhost")]
    assert elsewhere
    assert not [request for request in elsewhere if request.token or request.cookie]


def test_nothing_is_written_outside_the_cache_and_no_login_is_read(
    server: ScopeServer, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ModelScope's tools keep a login as a pickle at home: opening one runs what it says."""
    trap = tmp_path / "home" / ".modelscope" / "credentials"
    trap.mkdir(parents=True)
    (trap / "cookies").write_bytes(b"cos\nmkdir\n(S'" + os.fsencode(tmp_path / "sprung") + b"'\ntR.")
    before = everything_below(tmp_path / "home")
    monkeypatch.delenv("MODELSCOPE_API_TOKEN")
    resolve(REMOTE)
    assert everything_below(tmp_path / "home") == before
    assert not (tmp_path / "sprung").exists()
    assert not list(tmp_path.rglob("session"))
    assert not [request for request in server.requests if request.token or request.cookie]
