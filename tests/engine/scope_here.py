"""ModelScope played by a server on this machine, for tests in this process and for processes of their own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from huggingface_hub import constants
from modelscope_hub._download_control import _DownloadControl

from engine.models.modelscope import snapshot as scope
from tests.hub_server import serving
from tests.modelscope_server import SCOPE_TOKEN, ScopeServer


@contextmanager
def scope_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScopeServer]:
    """ModelScope without repos, logged in, with an empty cache and an empty home; no wait is a real one."""
    with serving(ScopeServer()) as server:
        home = tmp_path / "home"
        home.mkdir()
        for name in [name for name in os.environ if name.startswith("MODELSCOPE_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "scope"))
        monkeypatch.setenv("MODELSCOPE_API_TOKEN", SCOPE_TOKEN)
        monkeypatch.setattr("time.sleep", lambda _seconds: None)
        monkeypatch.setattr(_DownloadControl, "sleep", lambda control, _seconds: control.check())
        ask_at(server.address, monkeypatch)
        switch_off(False, monkeypatch)
        yield server


def ask_at(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another server, or none."""
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", address)
    scope.snapshot.cache_clear()


def switch_off(off: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As HF_HUB_OFFLINE=1 or 0 would."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", off)
    scope.snapshot.cache_clear()


def scope_environment(address: str, place: Path, **more: str) -> dict[str, str]:
    """The environment of a process that uses this server, with all it may write below `place`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "MODELSCOPE_"))}
    own = {"MODELSCOPE_ENDPOINT": address, "MODELSCOPE_CACHE": str(place / "scope"), "HF_HUB_OFFLINE": "0"}
    places = {"HOME": str(place / "home"), "HF_HOME": str(place / "hf"), "XDG_CACHE_HOME": str(place / "xdg")}
    return {
        **kept,
        **own,
        **places,
        "MODELSCOPE_API_TOKEN": SCOPE_TOKEN,
        "HF_ENDPOINT": "http://127.0.0.1:9",
        **more,
    }


def fetched(server: ScopeServer) -> set[str]:
    """The files it was asked for."""
    return {line.split("/file/")[1].split("/", 1)[1] for line in server.lines("GET .*/file/")}


def contents(folder: Path) -> dict[str, str]:
    """The sha256 of every file."""
    return {file.name: sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
