"""The hub's libraries, pointed at a server on this machine and at a cache of their own.

huggingface_hub and datasets read their environment once, at import: within a test process what they read is
changed instead. Tests of whole commands set the environment itself: `hub_environment`.
"""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets  # type: ignore[import-untyped, unused-ignore]
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import HfFileSystem, constants

from engine.models import hub as engine_hub
from engine.models import hub_client
from tests.hub_server import TOKEN, HubServer, serving

NOBODY = "http://127.0.0.1:9"
"""An address where nothing listens."""


@contextmanager
def hub_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub without repos, the libraries pointed at it, logged in; no wait is a real one."""
    with serving(HubServer()) as hub:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr("time.sleep", lambda _seconds: None)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "home" / "datasets")
        monkeypatch.setattr(datasets.config, "DOWNLOADED_DATASETS_PATH", tmp_path / "home" / "downloads")
        point_at(hub.address, monkeypatch)
        set_offline(False, monkeypatch)
        yield hub


def point_at(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another hub, or none."""
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", address)
    forget()


def set_offline(offline: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As HF_HUB_OFFLINE=1 or 0 would."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", offline)
    forget()


def forget() -> None:
    """What only a new process would not remember."""
    engine_hub.snapshot.cache_clear()
    HfFileSystem.clear_instance_cache()


def soon(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.2) -> None:
    """Every time limit is this short."""
    for name in ("READ_SECONDS", "WRITE_SECONDS", "CONNECT_SECONDS"):
        monkeypatch.setattr(hub_client, name, seconds)
    for name in ("HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"):
        monkeypatch.setattr(constants, name, seconds)
    monkeypatch.setattr("huggingface_hub.file_download._ETAG_RETRY_TIMEOUT", seconds)


def hub_environment(address: str, home: Path, **more: str) -> dict[str, str]:
    """The environment of a process that uses this hub."""
    own = {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    return {**kept, **own, "HF_HUB_DISABLE_XET": "1", "XDG_CACHE_HOME": str(home / "xdg"), **more}


def parquet(rows: Sequence[Mapping[str, Any]], **options: Any) -> bytes:
    """A Parquet file's bytes."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows)), buffer, **options)
    return buffer.getvalue()


def everything_below(*folders: Path) -> bytes:
    """The names and contents of all files there, to look for what must not be among them."""
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return b"\0".join(str(path).encode() + b"\0" + path.read_bytes() for path in files)
