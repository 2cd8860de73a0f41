"""Each way a download from ModelScope can fail: one line with the cause and a way out, and the right exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dpo_tui.text import use
from dpo_tui.text.explain import explain
from engine.config.schema import Model
from engine.exits import CannotWriteError, EngineError, EnvironmentUnfitError, Exit, HubError, UnusableError
from engine.models.modelscope import snapshot as scope
from engine.models.resolve import resolve
from tests.engine.hub_here import NOBODY
from tests.engine.scope_here import ask_at, scope_environment, switch_off
from tests.engine.tiny_folder import edit_config, write_folder
from tests.hub_repo import Repo
from tests.modelscope_server import SCOPE_TOKEN, ScopeServer
from tests.waiting import until

REPO = "owner/tiny"
REMOTE = Model(source="modelscope", id=REPO)
PAGE = f"https://www.modelscope.cn/models/{REPO}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("repo"))


@pytest.fixture
def server(server: ScopeServer, folder: Path) -> ScopeServer:
    server.add(REPO, folder)
    return server


def refusal(kind: type[EngineError] = HubError, model: Model = REMOTE) -> EngineError:
    """The error of a download, which is fit to be shown as it is, in both languages."""
    with pytest.raises(kind) as caught:
        resolve(model)
    error = caught.value
    assert error.text.startswith(("Cannot ", model.id))
    assert model.id in error.text
    assert "\n" not in error.text
    assert SCOPE_TOKEN not in error.text + json.dumps(error.params)
    assert "Signature" not in error.text + json.dumps(error.params)
    use("zh")
    try:
        said = explain(error.code, "nobody translated this", error.params)
        assert model.id in said
        assert "nobody" not in said
    finally:
        use("en")
    return error


@pytest.mark.parametrize("place", ["repo/files", "/file/.*/config.json"])
@pytest.mark.parametrize(
    ("status", "code", "way_out"),
    [
        (401, "modelscope.auth", "set MODELSCOPE_API_TOKEN to a token"),
        (403, "modelscope.gated", f"ask on {PAGE}, then set MODELSCOPE_API_TOKEN"),
        (404, "modelscope.not_found", "check the id"),
        (429, "modelscope.rate_limit", "Wait some minutes"),
        (500, "modelscope.down", "Try again later"),
        (451, "modelscope.refused", "ModelScope answered 451"),
    ],
)
def test_answers_other_than_files(
    server: ScopeServer, place: str, status: int, code: str, way_out: str
) -> None:
    server.fail(place, status=status, body=json.dumps({"Message": f"no {SCOPE_TOKEN}"}).encode())
    error = refusal()
    listed = place == "repo/files"
    assert error.code == (code if listed or status != 404 else "modelscope.no_file")
    assert error.exit is Exit.HUB
    if listed or status != 404:
        assert way_out in error.text


def test_an_envelope_that_says_200_may_hold_a_refusal(server: ScopeServer) -> None:
    body = {"Code": 403, "Data": None, "Message": "denied", "Success": False}
    server.fail("repo/files", status=200, body=json.dumps(body).encode())
    assert refusal().code == "modelscope.gated"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "drop"}, "modelscope.broken"),
        ({"kind": "cut"}, "modelscope.broken"),
        ({"kind": "stall"}, "modelscope.timeout"),
        ({"status": 200, "body": b"<html>log in</html>"}, "modelscope.no_hub"),
        ({"status": 200, "body": b"[]"}, "modelscope.no_hub"),
        ({"status": 200, "body": b'{"Data": {"Files": 3}}'}, "modelscope.no_hub"),
        ({"status": 200, "body": b'{"Data": {"Files": [3]}}'}, "modelscope.no_hub"),
    ],
)
def test_no_answer_or_one_that_is_none(
    server: ScopeServer, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any], code: str
) -> None:
    monkeypatch.setattr("engine.models.modelscope.client.READ_SECONDS", 0.2)
    server.fail("repo/files", **fault)
    error = refusal()
    assert error.code == code
    assert server.address in error.text
    assert "MODELSCOPE_ENDPOINT" in error.text


def test_nobody_at_the_address(server: ScopeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    ask_at(NOBODY, monkeypatch)
    error = refusal()
    assert error.code == "modelscope.unreachable"
    assert f"{NOBODY} cannot be reached" in error.text


def test_a_long_wait_that_the_server_asks_for_is_not_waited(server: ScopeServer) -> None:
    server.fail("repo/files", status=429, headers={"Retry-After": "3600"})
    assert refusal().code == "modelscope.rate_limit"
    assert len(server.requests) == 1


def test_a_repo_or_revision_that_is_not_there(server: ScopeServer) -> None:
    assert refusal(model=Model(source="modelscope", id="owner/none")).code == "modelscope.not_found"
    error = refusal(model=Model(source="modelscope", id=REPO, revision="v9"))
    assert error.code == "modelscope.no_revision"
    assert f'has no revision "v9": see its branches and tags on {PAGE}/files' in error.text


def test_private_and_gated_repos(server: ScopeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = server.repos["model", REPO]
    repo.gated = True
    assert refusal().code == "modelscope.gated"
    repo.gated, repo.private = False, True
    monkeypatch.delenv("MODELSCOPE_API_TOKEN")
    scope.snapshot.cache_clear()
    assert refusal().code == "modelscope.not_found"


@pytest.mark.parametrize("token", ["ms-two\nlines", "\u4ee4\u724c"])
def test_an_unknown_or_unspeakable_token(
    server: ScopeServer, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "ms-mistyped")
    assert "ms-mistyped" not in refusal().text
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", token)
    error = refusal()
    assert token.strip("ms-two\n") not in error.text
    assert error.code == "modelscope.auth"


@pytest.mark.parametrize("path", ["../../evil.json", "/etc/evil.json", "a\\..\\evil.json", "./evil.json", ""])
def test_a_list_that_would_lead_out_of_the_cache_is_no_list(
    server: ScopeServer, tmp_path: Path, path: str
) -> None:
    repo = server.repos["model", REPO]
    repo.commit({**repo.commits[repo.refs["master"]], path: b"{}"}, "master")
    assert refusal().code == "modelscope.no_hub"
    assert not list(tmp_path.rglob("evil.json"))


def test_a_file_that_is_listed_without_its_sha256_is_not_used(
    server: ScopeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests import modelscope_server

    whole = modelscope_server.blob
    monkeypatch.setattr(modelscope_server, "blob", lambda *asked: {**whole(*asked), "Sha256": ""})
    error = refusal()
    assert error.code == "modelscope.unlisted"
    assert not server.lines("/file/")


def test_without_its_package_the_command_that_installs_it_is_named(
    server: ScopeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    error = refusal(EnvironmentUnfitError)
    assert error.code == "modelscope.not_installed"
    assert error.text.endswith('Run: pip install "dpo-tui[modelscope]"')
    assert not server.requests


def test_a_cache_that_cannot_be_written_is_named(
    server: ScopeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("modelscope_hub.HubApi.download_repo", full)
    error = refusal(CannotWriteError)
    assert error.exit is Exit.CANNOT_WRITE
    assert f"Cannot keep {REPO} in {tmp_path / 'scope'}: No space left on device" in error.text
    assert "MODELSCOPE_CACHE" in error.text


def changed(repo: Repo, lost: str, **added: bytes) -> None:
    files = {name: content for name, content in repo.commits[repo.refs["master"]].items() if name != lost}
    repo.commit({**files, **{name.replace("__", "."): content for name, content in added.items()}}, "master")


@pytest.mark.parametrize(
    ("lost", "added", "problem"),
    [
        ("model.safetensors", {"pytorch_model__bin": b"x"}, "pickled (pytorch_model.bin), can run code"),
        ("model.safetensors", {"tiny-q8__gguf": b"x"}, "holds GGUF files (tiny-q8.gguf)"),
        ("config.json", {}, f"has no config.json: it is not a transformers model. See {PAGE}"),
        ("tokenizer.json", {}, f"or tokenizer.model beside config.json. See {PAGE}"),
    ],
)  # fmt: skip
def test_a_repo_of_another_kind_is_named_by_its_files(
    server: ScopeServer, lost: str, added: dict[str, bytes], problem: str
) -> None:
    changed(server.repos["model", REPO], lost, **added)
    assert problem in refusal(UnusableError).text


def test_weights_that_are_broken_in_the_repo_itself(server: ScopeServer) -> None:
    changed(server.repos["model", REPO], "", model__safetensors=b"\xff" * 99)
    text = refusal(UnusableError).text
    assert f"That is how the repo has it: see {PAGE}." in text


def test_code_of_a_repo_is_not_asked_for(server: ScopeServer, tmp_path: Path, folder: Path) -> None:
    own = {"model_type": "own", "auto_map": {"AutoModelForCausalLM": "modeling_own.Own"}}
    (tmp_path / "repo").mkdir()
    for file in folder.iterdir():
        (tmp_path / "repo" / file.name).write_bytes(file.read_bytes())
    (tmp_path / "repo" / "modeling_own.py").write_text("raise SystemExit('ran')")
    edit_config(tmp_path / "repo", **own)
    server.add(REPO, tmp_path / "repo")
    assert refusal(UnusableError).code == "model.remote_code"
    assert not server.lines(r"\.py$")


def fetching(server: ScopeServer, place: Path, *words: str, **more: str) -> subprocess.Popen[str]:
    environment = scope_environment(server.address, place, **more)
    command = [sys.executable, "-m", "engine", "fetch", *words]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_command_fetches_and_ends_with_one_line_where_it_cannot(
    server: ScopeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = server.repos["model", REPO].refs["master"]
    process = fetching(server, tmp_path, REPO)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == Exit.DONE, errors
    assert out.strip() == str(tmp_path / "scope" / "models" / "owner--tiny" / "snapshots" / commit)
    switch_off(True, monkeypatch)
    assert str(resolve(REMOTE).path) == out.strip()
    for words, more, code, said in (
        (["owner/none"], {}, Exit.HUB, "there is no such repo"),
        (["owner/none"], {"HF_HUB_OFFLINE": "1"}, Exit.HUB, "HF_HUB_OFFLINE is set"),
        (["owner/none"], {"MODELSCOPE_OFFLINE": "1"}, Exit.HUB, "MODELSCOPE_OFFLINE is set"),
        (["../none"], {}, Exit.USAGE, "is not a repo id"),
    ):
        process = fetching(server, tmp_path, *words, **more)
        out, errors = process.communicate(timeout=120)
        assert process.returncode == code
        assert said in errors.splitlines()[-1]
        assert "Traceback" not in errors
        assert SCOPE_TOKEN not in errors
        assert not out


def test_a_download_that_is_killed_half_way_is_not_used_and_is_resumed(
    server: ScopeServer, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fail(r"/file/.*/model\.safetensors", kind="hang")
    process = fetching(server, tmp_path, REPO)
    try:
        until(lambda: list((tmp_path / "scope").rglob("model.safetensors.incomplete")))
        half = next((tmp_path / "scope").rglob("model.safetensors.incomplete"))
        until(lambda: half.stat().st_size)
    finally:
        process.kill()
        process.communicate()
    server.faults.clear()
    switch_off(True, monkeypatch)
    error = refusal()
    assert "model.safetensors" in error.params["lacking"]
    switch_off(False, monkeypatch)
    server.requests.clear()
    found = resolve(REMOTE).path
    assert (found / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    asked = [request for request in server.requests if request.path.endswith("model.safetensors")]
    assert [request.range for request in asked] not in ([None], [])
