"""The hub, as a server on this machine: what is fetched, what is sent, and every refusal as one line."""

import errno
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError

from engine.config.schema import Model
from engine.exits import CannotWriteError, EngineError, HubError, UnusableError, UsageError
from engine.models import hub
from engine.models.load import load_model, load_tokenizer
from engine.models.resolve import resolve
from tests.engine.tiny_folder import write_folder

COMMIT = "c0ffee" * 6 + "cafe"
TOKEN = "hf_" + "canary" * 5


@dataclass
class FakeHub:
    """One model repo; `status` and `error` make every request fail."""

    folder: Path
    status: int = 200
    error: str = ""
    private: bool = True
    address: str = ""
    requests: list[str] = field(default_factory=list)
    sent: bytes = b""

    def answer(self, method: str, path: str) -> tuple[int, Any, dict[str, str]]:
        if self.status != 200:
            return self.status, {"error": "no"}, {"X-Error-Code": self.error} if self.error else {}
        if found := re.fullmatch(rf"/owner/name/resolve/{COMMIT}/(.+)", path):
            content = (self.folder / found[1]).read_bytes()
            return 200, content, {"ETag": f'"{len(content):040d}"', "X-Repo-Commit": COMMIT}
        if method == "GET" and "/tree/" in path:
            files = [file for file in self.folder.iterdir() if file.is_file()]
            entries = [self._entry(file) for file in files]
            return 200, entries, {}
        return 200, self._api(path), {}

    def _entry(self, file: Path) -> dict[str, Any]:
        return {
            "type": "file",
            "path": file.name,
            "size": file.stat().st_size,
            "oid": f"{file.stat().st_size:040d}",
        }

    def _api(self, path: str) -> Any:
        if path.endswith("/preupload/main"):
            return {
                "files": [
                    {"path": f.name, "uploadMode": "regular", "shouldIgnore": False} for f in self.sending
                ]
            }
        if path.endswith("/commit/main"):
            return {
                "success": True,
                "commitOid": COMMIT,
                "commitUrl": f"{self.address}/owner/name/commit/{COMMIT}",
            }
        if path.endswith("/repos/create"):
            return {"url": f"{self.address}/owner/name", "name": "owner/name", "id": "owner/name"}
        return {
            "id": "owner/name",
            "modelId": "owner/name",
            "sha": COMMIT,
            "private": self.private,
            "siblings": [],
        }

    @property
    def sending(self) -> list[Path]:
        return list(self.folder.iterdir())


def handler(fake: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            path = self.path.split("?")[0]
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fake.requests.append(f"{self.command} {path}")
            if path.endswith("/commit/main"):
                fake.sent = body
            status, content, headers = fake.answer(self.command, path)
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_GET = do_HEAD = do_POST = serve  # noqa: N815  (the base class's names)

        def log_message(self, *_: object) -> None:
            """Silent."""

    return Handler


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    fake = FakeHub(write_folder(tmp_path / "repo"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(fake))
    fake.address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    point_at(fake.address, tmp_path, monkeypatch)
    yield fake
    server.shutdown()
    server.server_close()


def point_at(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub reads its environment once, at import: a test changes what it read."""
    hub.snapshot.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("engine.models.hub.get_token", lambda: TOKEN)


REMOTE = Model(source="hub", id="owner/name")


def test_model_of_the_hub_is_loaded_and_its_commit_recorded(fake: FakeHub) -> None:
    for extra in ("modeling_own.py", "pytorch_model.bin", "README.md"):
        (fake.folder / extra).write_text("x")
    loaded = load_model(REMOTE)
    assert loaded.origin.commit == COMMIT
    assert load_tokenizer(REMOTE).chat_template
    fetched = {request.rsplit("/", 1)[1] for request in fake.requests if "/resolve/" in request}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= fetched
    assert not {"modeling_own.py", "pytorch_model.bin"} & fetched


def test_repo_with_only_pickled_weights_is_refused_without_fetching_them(fake: FakeHub) -> None:
    (fake.folder / "model.safetensors").rename(fake.folder / "pytorch_model.bin")
    with pytest.raises(UnusableError, match="pickled"):
        resolve(REMOTE)
    assert not any("pytorch_model" in request for request in fake.requests)


def test_second_load_needs_no_hub(fake: FakeHub) -> None:
    resolve(REMOTE)
    hub.snapshot.cache_clear()
    fake.status = 404
    fake.requests.clear()
    assert resolve(Model(source="hub", id="owner/name", revision=COMMIT)).commit == COMMIT


@pytest.mark.parametrize(
    ("status", "error", "code", "way_out"),
    [
        (401, "", "hub.auth", "hf auth login"),
        (403, "", "hub.auth", "HF_TOKEN"),
        (403, "GatedRepo", "hub.gated", "https://huggingface.co/owner/name"),
        (404, "RepoNotFound", "hub.not_found", "check the id"),
        (404, "RevisionNotFound", "hub.no_revision", "branches and tags"),
        (429, "", "hub.rate_limit", "Wait"),
        (500, "", "hub.down", "Try again later"),
        (503, "", "hub.down", "Try again later"),
        (418, "", "hub.refused", "418"),
    ],
)
def test_refusal_is_one_line_with_a_way_out(
    fake: FakeHub, monkeypatch: pytest.MonkeyPatch, status: int, error: str, code: str, way_out: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    fake.status, fake.error = status, error
    with pytest.raises(HubError) as caught:
        resolve(REMOTE)
    assert caught.value.code == code
    assert way_out in caught.value.text
    assert "owner/name" in caught.value.text
    assert "\n" not in caught.value.text


def test_nobody_listening_names_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at("http://127.0.0.1:9", tmp_path, monkeypatch)
    with pytest.raises(HubError, match=r"http://127\.0\.0\.1:9 cannot be reached") as caught:
        resolve(REMOTE)
    assert caught.value.code == "hub.unreachable"


def test_offline_without_a_cached_copy_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at("http://127.0.0.1:9", tmp_path, monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE") as caught:
        resolve(REMOTE)
    assert caught.value.code == "hub.offline"


def test_id_that_is_no_repo_id_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="owner/name"):
        resolve(Model(source="hub", id="https://huggingface.co/a/b/c"))


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), CannotWriteError, "hub.cache_unwritable"),
        (OSError("Consistency check failed: file should be of size 3"), HubError, "hub.broken"),
        (LocalEntryNotFoundError("offline"), HubError, "hub.offline"),
    ],
)
def test_local_failures_keep_their_kind(error: OSError, kind: type[EngineError], code: str) -> None:
    with pytest.raises(kind) as caught, hub.hub_errors("owner/name", "download"):
        raise error
    assert caught.value.code == code


def test_upload_creates_a_private_repo_and_sends_the_folder(fake: FakeHub) -> None:
    address = hub.upload(fake.folder, "owner/name", private=True)
    assert address.endswith("/owner/name")
    assert "POST /api/repos/create" in fake.requests
    assert b'"path": "config.json"' in fake.sent or b'"path":"config.json"' in fake.sent


def test_private_upload_into_a_public_repo_is_refused(fake: FakeHub) -> None:
    fake.private = False
    with pytest.raises(HubError, match="everyone can see it"):
        hub.upload(fake.folder, "owner/name", private=True)
    assert not fake.sent


@pytest.mark.parametrize(("status", "code"), [(401, "hub.auth"), (403, "hub.auth"), (429, "hub.rate_limit")])
def test_refused_upload_never_shows_the_token(
    fake: FakeHub, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    fake.status = status
    with pytest.raises(HubError) as caught:
        hub.upload(fake.folder, "owner/name", private=True)
    assert caught.value.code == code
    assert TOKEN not in caught.value.text + str(caught.value.params)


def test_upload_without_a_login_says_how_to_log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.models.hub.get_token", lambda: None)
    with pytest.raises(HubError, match="hf auth login") as caught:
        hub.upload(tmp_path, "owner/name", private=True)
    assert caught.value.code == "hub.no_token"
