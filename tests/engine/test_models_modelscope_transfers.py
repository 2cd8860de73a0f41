"""Transfers from ModelScope: broken off, resumed, compared with what was promised."""

from pathlib import Path
from typing import Any

import pytest
from modelscope_hub import HubApi

from engine.config.schema import Model
from engine.exits import HubError
from engine.models.modelscope import snapshot as scope
from engine.models.resolve import resolve
from tests.engine.scope_here import contents, fetched, switch_off
from tests.engine.tiny_folder import write_folder
from tests.hub_repo import Repo
from tests.modelscope_server import ScopeServer

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


@pytest.mark.parametrize("fault", [{"kind": "cut"}, {"kind": "drop"}, {"status": 500}])
def test_a_transfer_that_breaks_off_is_never_used_and_is_resumed(
    server: ScopeServer, repo: Repo, folder: Path, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    server.fail(f"/file/.*{SHARD}", **fault)
    with pytest.raises(HubError) as caught:
        resolve(REMOTE)
    assert caught.value.code == ("modelscope.down" if "status" in fault else "modelscope.broken")
    assert f"The cache is incomplete: it lacks {SHARD}" in caught.value.text
    switch_off(True, monkeypatch)
    with pytest.raises(HubError) as caught:
        resolve(REMOTE)
    assert caught.value.params["lacking"] == [SHARD]
    assert f"python -m engine fetch {REPO} --revision {repo.refs['master']}" in caught.value.text
    server.faults.clear()
    server.requests.clear()
    switch_off(False, monkeypatch)
    assert contents(resolve(REMOTE).path) == contents(folder)
    again = [request for request in server.requests if "/file/" in request.path]
    assert {request.path.rsplit("/", 1)[1] for request in again} == {SHARD}
    resumed = fault.get("kind") == "cut"
    assert [(request.range or "").startswith("bytes=") for request in again] == [resumed]
    assert again[0].range != "bytes=0-"


def test_a_large_file_that_comes_in_parts_is_resumed_part_by_part(
    server: ScopeServer, repo: Repo, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ModelScope's library transfers a file of half a gigabyte and more."""
    monkeypatch.setattr("modelscope_hub._download.DOWNLOAD_PARALLEL_THRESHOLD", 10_000)
    monkeypatch.setattr("modelscope_hub._download.DOWNLOAD_PART_SIZE", 9_000)
    server.fail(f"/file/.*{SHARD}", kind="cut")
    with pytest.raises(HubError) as caught:
        resolve(REMOTE)
    assert caught.value.code == "modelscope.broken"
    server.faults.clear()
    server.requests.clear()
    assert contents(resolve(REMOTE).path) == contents(folder)
    begun = [
        int(request.range.removeprefix("bytes=").split("-")[0])
        for request in server.requests
        if request.range
    ]
    assert begun
    assert all(start % 9_000 for start in begun)


@pytest.mark.parametrize("fault", [{"kind": "cut"}, {"kind": "drop"}, {"status": 502}, {"status": 429}])
@pytest.mark.parametrize("place", ["repo/files", "/file/.*model-00002"])
def test_passing_fault_is_got_over(
    server: ScopeServer, repo: Repo, folder: Path, fault: dict[str, Any], place: str
) -> None:
    server.fail(place, times=2, **fault)
    assert contents(resolve(REMOTE).path) == contents(folder)


@pytest.mark.parametrize("short", [False, True])
def test_content_that_is_not_as_listed_is_refused_and_thrown_away(
    server: ScopeServer,
    repo: Repo,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    short: bool,
) -> None:
    right = (folder / SHARD).read_bytes()
    server.fail(f"/file/.*{SHARD}", status=200, body=right[:-9] if short else right[:-1] + b"\xff")
    with pytest.raises(HubError) as caught:
        resolve(REMOTE)
    assert caught.value.code == "modelscope.checksum"
    assert SHARD in caught.value.text
    assert not list((tmp_path / "scope").rglob(f"{SHARD}*"))
    server.faults.clear()
    assert contents(resolve(REMOTE).path) == contents(folder)


def test_what_the_library_calls_done_is_compared_again(
    server: ScopeServer, repo: Repo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def garbage(
        _api: HubApi, *_: object, local_dir: Path, file_list: list[dict[str, Any]], **__: object
    ) -> None:
        for file in file_list:
            (local_dir / file["Path"]).write_bytes(b"\0" * file["Size"])

    monkeypatch.setattr(HubApi, "download_repo", garbage)
    with pytest.raises(HubError) as caught:
        resolve(REMOTE)
    assert caught.value.code == "modelscope.checksum"


def test_a_file_that_changed_in_the_cache_is_fetched_anew(
    server: ScopeServer, repo: Repo, folder: Path
) -> None:
    shard = resolve(REMOTE).path / SHARD
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + b"\xff")
    scope.snapshot.cache_clear()
    server.requests.clear()
    assert contents(resolve(REMOTE).path) == contents(folder)
    assert fetched(server) == {SHARD}
