"""Searching a hub, one that stumbles in every way, and telling what is on this disk without it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from dpo_tui.hub import search as searching
from dpo_tui.hub.cache import Kind, cached
from dpo_tui.hub.search import LIMIT, HubAway, Repo, search
from tests.hub_server import HubServer, serving

TRAINABLE = ["text-generation", "safetensors", "license:apache-2.0"]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub that is searched instead of the real one."""
    with serving(HubServer()) as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield served


def model(hub: HubServer, name: str, downloads: int = 0, **facts: object) -> None:
    hub.add(name, {}).facts = {"downloads": downloads, "tags": TRAINABLE, **facts}


async def test_a_search_lists_the_most_downloaded_first_with_their_facts(hub: HubServer) -> None:
    model(hub, "owner/small-chat", 10, likes=1)
    model(hub, "owner/large-chat", 500, likes=7, safetensors={"parameters": {"BF16": 7}, "total": 7})
    model(hub, "owner/other", 900)
    found = await search("model", "CHAT")
    assert found == [
        Repo("owner/large-chat", 500, 7, 7, "apache-2.0"),
        Repo("owner/small-chat", 10, 1, None, "apache-2.0"),
    ]


async def test_models_that_cannot_be_trained_are_not_listed(hub: HubServer) -> None:
    model(hub, "owner/pickled", tags=["text-generation"])
    model(hub, "owner/painter", tags=["safetensors"])
    assert await search("model", "owner") == []


async def test_datasets_are_searched_of_any_kind(hub: HubServer) -> None:
    hub.add("owner/pairs", {}, "dataset").facts = {"downloads": 3}
    hub.add("owner/pairs-model", {})
    assert [repo.id for repo in await search("dataset", "pairs")] == ["owner/pairs"]


async def test_a_gated_repo_is_known_as_one(hub: HubServer) -> None:
    model(hub, "owner/secret")
    hub.repos["model", "owner/secret"].gated = True
    assert (await search("model", "secret"))[0].gated


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "hub.down"), (503, "hub.down"), (429, "hub.rate_limit"), (401, "hub.auth"), (404, "hub.no_hub")],
)
async def test_a_hub_that_refuses_is_asked_once(hub: HubServer, status: int, code: str) -> None:
    hub.fail("GET /api/models", status=status, headers={"Retry-After": "300"})
    with pytest.raises(HubAway) as caught:
        await search("model", "x")
    assert caught.value.code == code
    assert len(hub.requests) == 1


async def test_a_hub_that_is_silent_is_given_up(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "SECONDS", 0.1)
    hub.fail("GET /api/models", kind="stall")
    with pytest.raises(HubAway) as caught:
        await search("model", "x")
    assert caught.value.code == "hub.timeout"


@pytest.mark.parametrize("kind", ["drop", "cut"])
async def test_a_connection_that_breaks_is_a_hub_that_is_away(hub: HubServer, kind: str) -> None:
    model(hub, "owner/model")
    hub.fail("GET /api/models", kind=kind)
    with pytest.raises(HubAway) as caught:
        await search("model", "model")
    assert caught.value.code == "hub.unreachable"


async def test_nobody_there_is_a_hub_that_is_away(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubAway) as caught:
        await search("model", "x")
    assert caught.value.code == "hub.unreachable"


async def test_offline_nothing_is_asked(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubAway) as caught:
        await search("model", "x")
    assert caught.value.code == "hub.offline"
    assert not hub.requests


@pytest.mark.parametrize(
    "body", [b"<html>log in</html>", b'{"models": []}', b"[" * 100_000, b"\xff\xfe", b"null"]
)
async def test_a_server_that_is_no_hub_is_said_to_be_none(hub: HubServer, body: bytes) -> None:
    hub.fail("GET /api/models", status=200, body=body)
    with pytest.raises(HubAway) as caught:
        await search("model", "x")
    assert caught.value.code == "hub.no_hub"


async def test_an_answer_without_end_is_not_kept(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "LONGEST_ANSWER", 1000)
    hub.fail("GET /api/models", status=200, body=b"[" + b" " * 100_000 + b"]")
    with pytest.raises(HubAway) as caught:
        await search("model", "x")
    assert caught.value.code == "hub.no_hub"


async def test_entries_of_any_shape_are_passed_over_or_read_as_far_as_they_go(hub: HubServer) -> None:
    odd = [
        None,
        1,
        {},
        {"id": 7},
        {"id": ""},
        {"id": "a/b", "downloads": "many", "tags": "x", "safetensors": 3},
    ]
    hostile = {"id": "a/[/x]\x1b]0;t\x07", "likes": -1, "tags": [None, "license:mit"], "gated": "manual"}
    hub.fail("GET /api/models", status=200, body=json.dumps([*odd, hostile]).encode())
    assert await search("model", "x") == [Repo("a/b"), Repo(hostile["id"], license="mit", gated=True)]  # type: ignore[arg-type]


async def test_more_than_was_asked_for_is_not_shown(hub: HubServer) -> None:
    hub.fail("GET /api/models", status=200, body=json.dumps([{"id": f"a/{n}"} for n in range(1000)]).encode())
    assert len(await search("model", "x")) == LIMIT


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with what downloads, finished and not, leave there."""
    for name, file in {
        "models--owner--model": "config.json",
        "models--gpt2": "config.json",
        "models--owner--only-tokenizer": "tokenizer.json",
        "datasets--owner--pairs": "train.jsonl",
    }.items():
        snapshot = tmp_path / name / "snapshots" / "0123abcd"
        snapshot.mkdir(parents=True)
        (snapshot / file).write_text("{}")
    (tmp_path / "datasets--owner--empty" / "snapshots" / "0123abcd").mkdir(parents=True)
    (tmp_path / "models--owner--nothing").mkdir()
    (tmp_path / "models--owner--file").write_text("")
    (tmp_path / ".locks").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "there"), [("model", {"owner/model", "gpt2"}), ("dataset", {"owner/pairs"})]
)
def test_what_is_on_the_disk_is_told_from_the_cache(cache: Path, kind: Kind, there: set[str]) -> None:
    assert set(cached(kind, cache)) == there


def test_no_cache_holds_nothing(tmp_path: Path) -> None:
    assert cached("model", tmp_path / "absent") == []
