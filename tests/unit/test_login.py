"""Who is logged in: what each answer of a hub, or none, is taken for; and that no token is told."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from dpo_tui.hub import login as asking
from dpo_tui.hub.login import Login, login
from tests.hub_server import TOKEN, HubServer, serving


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with serving(HubServer()) as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield served


def answering(hub: HubServer, status: int, body: bytes) -> None:
    hub.fail("GET /api/whoami", status=status, body=body)


def test_the_name_of_whoever_is_logged_in(hub: HubServer) -> None:
    answering(hub, 200, json.dumps({"name": "me", "auth": {}}).encode())
    assert login() == Login("ok", "me")
    (asked,) = (request for request in hub.requests if "whoami" in request.path)
    assert asked.token == f"Bearer {TOKEN}"


def test_without_a_token_nobody_is_asked(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert login() == Login("none")
    assert hub.requests == []


def test_offline_nobody_is_asked(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert login() == Login("offline")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("status", "body", "standing"),
    [
        (401, b"{}", "refused"),
        (403, b"{}", "refused"),
        (429, b"{}", "unreachable"),
        (500, b"{}", "unreachable"),
        (200, b"<html>", "unreachable"),
        (200, b"[1]", "unreachable"),
        (200, b'{"name": 3}', "unreachable"),
    ],
)
def test_what_a_hub_says_instead(hub: HubServer, status: int, body: bytes, standing: str) -> None:
    answering(hub, status, body)
    found = login()
    assert found.standing == standing
    assert found.may_push == (standing == "unreachable")
    assert TOKEN not in repr(found)


def test_a_hub_that_is_silent_or_not_there(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "SECONDS", 0.2)
    hub.fail("GET /api/whoami", kind="stall")
    assert login() == Login("unreachable")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert login() == Login("unreachable")


def test_a_token_that_is_no_header_is_not_told(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", f"{TOKEN}\nx")
    assert TOKEN not in repr(login())
