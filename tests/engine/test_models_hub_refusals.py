"""Each way a download from the hub can fail: one line with the cause and a way out, and the right exit code."""

import errno
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from engine.config.schema import Model
from engine.exits import CannotWriteError, EngineError, Exit, HubError, UnusableError, UsageError
from engine.models import hub_client
from engine.models.hub_errors import Repo, hub_errors
from engine.models.resolve import resolve
from tests.engine.hub_here import NOBODY, hub_environment, point_at, set_offline, soon
from tests.engine.tiny_folder import edit_config, write_folder
from tests.hub_server import TOKEN, HubServer

REPO = "owner/tiny"
REMOTE = Model(source="hub", id=REPO)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("repo"))


@pytest.fixture
def hub(hub: HubServer, folder: Path) -> HubServer:
    hub.add(REPO, folder)
    return hub


def refusal(kind: type[EngineError] = HubError, model: Model = REMOTE) -> EngineError:
    """The error of a download, which is fit to be shown as it is."""
    with pytest.raises(kind) as caught:
        resolve(model)
    error = caught.value
    assert REPO in error.text or model.id in error.text
    assert "\n" not in error.text
    assert TOKEN not in error.text + json.dumps(error.params)
    assert error.text.endswith((".", "`."))
    return error


@pytest.mark.parametrize("place", ["/api/models/", "HEAD .*/resolve/.*config", "GET .*/resolve/.*/config"])
@pytest.mark.parametrize(
    ("status", "headers", "code", "way_out"),
    [
        (401, {}, "hub.auth", "hf auth login"),
        (403, {}, "hub.auth", "HF_TOKEN"),
        (403, {"X-Error-Code": "GatedRepo"}, "hub.gated", f"ask on https://huggingface.co/{REPO}"),
        (404, {"X-Error-Code": "RepoNotFound"}, "hub.not_found", "check the id"),
        (404, {"X-Error-Code": "RevisionNotFound"}, "hub.no_revision", "branches and tags"),
        (404, {"X-Error-Code": "EntryNotFound"}, "hub.no_file", "try again"),
        (429, {}, "hub.rate_limit", "Wait some minutes"),
        (429, {"Retry-After": "77"}, "hub.rate_limit", "Wait 77 seconds"),
        (429, {"RateLimit": '"api";r=0;t=55'}, "hub.rate_limit", "Wait 55 seconds"),
        (500, {"RateLimit": '"api";r=0;t=55'}, "hub.down", "Try again later"),
        (503, {}, "hub.down", "Try again later"),
        (418, {}, "hub.refused", "418"),
    ],
)
def test_refusal_is_one_line_with_a_way_out(
    hub: HubServer, place: str, status: int, headers: dict[str, str], code: str, way_out: str
) -> None:
    hub.fail(place, status=status, headers=headers)
    error = refusal()
    assert (error.code, error.exit) == (code, Exit.HUB)
    assert way_out in error.text


def test_passing_faults_are_retried_as_the_hub_asks(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    hub.fail("/api/models/[^/]*/[^/]*$", status=429, headers={"Retry-After": "77"}, times=1)
    hub.fail("/api/models/[^/]*/[^/]*$", status=502, times=1)
    resolve(REMOTE)
    assert waits == [77, 4]


def test_lasting_fault_is_asked_about_a_few_times_only(hub: HubServer) -> None:
    hub.fail("/api/models/", status=500)
    refusal()
    assert len(hub.lines("/api/models/")) == 3


@pytest.mark.parametrize("place", ["/api/models/[^/]*/[^/]*$", "/tree/", "HEAD", "GET .*/resolve/"])
def test_quota_of_an_hour_is_told_instead_of_waited_for(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    hub.fail(place, status=429, headers={"Retry-After": "3600"})
    assert "Wait 3,600 seconds" in refusal().text
    assert not [wait for wait in waits if wait > hub_client.LONGEST_WAIT]


@pytest.mark.parametrize("place", ["/api/models/[^/]*/[^/]*$", "/tree/", "HEAD", "GET .*/resolve/"])
def test_silent_hub_is_given_up(hub: HubServer, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    soon(monkeypatch, 0.05)
    hub.fail(place, kind="stall")
    error = refusal()
    assert (error.code, error.exit) == ("hub.timeout", Exit.HUB)
    assert f"{hub.address} gave no answer in time. Check the network" in error.text


def test_nobody_listening_names_the_address(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at(NOBODY, monkeypatch)
    error = refusal()
    assert (error.code, error.exit) == ("hub.unreachable", Exit.HUB)
    assert f"{NOBODY} cannot be reached. Check the network and HF_ENDPOINT" in error.text


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("/api/", b"<html>Please log in.</html>"),
        ("/api/", b"{}"),
        ("/api/", b"[]"),
        ("/tree/", b"<html>Please log in.</html>"),
        ("/tree/", b'[{"type": "file"}]'),
        ("HEAD", b"<html>Please log in.</html>"),
    ],
)
def test_something_else_that_answers_is_no_hub(hub: HubServer, place: str, body: bytes) -> None:
    hub.fail(place, status=200, body=body)
    error = refusal()
    assert error.code == "hub.no_hub"
    assert "Check HF_ENDPOINT, and whether a proxy or a login page stands in between" in error.text


@pytest.mark.parametrize(
    ("kind", "said"), [("cut", "broke the connection off"), ("short", "Consistency check")]
)
def test_transfer_that_never_completes_says_so(hub: HubServer, kind: str, said: str) -> None:
    hub.fail("GET .*/model.safetensors", kind="drop")
    hub.faults.insert(0, hub.fail("GET .*/model.safetensors", kind=kind, times=1 if kind == "cut" else None))
    error = refusal()
    assert (error.code, error.exit) == ("hub.broken", Exit.HUB)
    assert said in error.text
    assert "ry again" in error.text


@pytest.mark.parametrize("model", [REMOTE, Model(id=REPO, revision=COMMIT), Model(id=REPO, revision="v9")])
def test_offline_without_a_cached_copy_names_the_command(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    set_offline(True, monkeypatch)
    error = refusal(model=model)
    assert (error.code, error.exit) == ("hub.offline", Exit.HUB)
    assert "HF_HUB_OFFLINE is set" in error.text
    revision = f" --revision {model.revision}" if model.revision else ""
    assert f"`hf download {REPO}{revision}`" in error.text
    assert not hub.requests


@pytest.mark.parametrize("revision", [COMMIT, "nowhere"])
def test_revision_that_is_not_there_is_named(hub: HubServer, revision: str) -> None:
    error = refusal(model=Model(id=REPO, revision=revision))
    assert error.code == "hub.no_revision"
    assert f'"{revision}"' in error.text


def test_gated_repo_is_known_by_its_files(hub: HubServer) -> None:
    hub.repos["model", REPO].gated = True
    assert refusal().code == "hub.gated"


def test_private_repo_needs_a_login_and_a_worn_out_one_is_told(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repos["model", REPO].private = True
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere")
    assert "there is no such repo, or it is private" in refusal().text
    monkeypatch.setenv("HF_TOKEN", "hf_wornout")
    error = refusal()
    assert (error.code, "hf_wornout" in error.text) == ("hub.auth", False)
    assert "it has expired" in error.text
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert resolve(REMOTE).commit


def test_folder_of_that_name_is_thought_of(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    error = refusal(model=Model(id="out/model"))
    assert 'for out/model on this disk, set source = "local"' in error.text


def test_id_that_is_no_repo_id_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="owner/name"):
        resolve(Model(source="hub", id="https://huggingface.co/a/b/c"))


def test_cache_that_cannot_be_written_is_no_fault_of_the_hub(hub: HubServer, tmp_path: Path) -> None:
    Path(constants.HF_HUB_CACHE).parent.mkdir(exist_ok=True)
    Path(constants.HF_HUB_CACHE).write_text("a file is in the way")
    error = refusal(EngineError)
    assert str(constants.HF_HUB_CACHE) in error.text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS])
def test_disk_that_refuses_is_exit_code_6(number: int) -> None:
    cause = OSError(number, "the disk")
    refused = pytest.raises(CannotWriteError, match="set HF_HOME to another folder")
    with refused as caught, hub_errors(Repo(REPO), "download"):
        raise RuntimeError("while downloading") from cause
    assert caught.value.exit is Exit.CANNOT_WRITE


def without(folder: Path, *names: str, **more: bytes) -> dict[str, bytes]:
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.name not in names}
    return {**files, **{name.replace("__", "."): content for name, content in more.items()}}


@pytest.mark.parametrize(
    ("lost", "added", "problem"),
    [
        ("model.safetensors", {"pytorch_model__bin": b"x"}, "pickled (pytorch_model.bin), can run code"),
        ("model.safetensors", {"tiny-q8__gguf": b"x"}, "holds GGUF files (tiny-q8.gguf)"),
        (
            "config.json",
            {"tiny-q8__gguf": b"x"},
            "has no config.json: it is not a transformers model. It holds",
        ),
        ("model.safetensors", {"consolidated__safetensors": b"x"}, "only consolidated.safetensors"),
        ("model.safetensors", {}, f"See https://huggingface.co/{REPO}."),
        (
            "config.json",
            {},
            f"has no config.json: it is not a transformers model. See https://huggingface.co/{REPO}",
        ),
        ("tokenizer.json", {}, "has no tokenizer: expected tokenizer.json"),
        ("", {"adapter_config__json": b"{}"}, "holds a LoRA adapter, not a whole model"),
    ],
)
def test_repo_of_another_kind_is_named_by_its_files(
    hub: HubServer, folder: Path, lost: str, added: dict[str, bytes], problem: str
) -> None:
    hub.add(REPO, without(folder, lost, **added))
    error = refusal(UnusableError)
    assert problem in error.text
    assert error.exit is Exit.UNUSABLE
    assert not hub.lines("(bin|gguf|consolidated.*)$")


@pytest.mark.parametrize(
    ("config", "trust", "problem"),
    [
        ({"quantization_config": {"bits": 4}}, False, "is quantised"),
        (
            {"model_type": "own", "auto_map": {"AutoModelForCausalLM": "modeling_own.Own"}},
            False,
            "ships its own Python code (modeling_own.py)",
        ),
        (
            {"model_type": "own", "auto_map": {"AutoModelForCausalLM": "else/where--modeling_own.Own"}},
            True,
            "takes code from another repo, else/where",
        ),
        ({"auto_map": {"AutoTokenizer": ["else/where--tok.Own", None]}}, True, "another repo, else/where"),
        ({"model_type": "own"}, False, "which this transformers does not know"),
        ({"model_type": "t5"}, False, "DPO needs a causal language model"),
    ],
)
def test_model_that_cannot_be_trained_is_refused_by_its_config(
    hub: HubServer, folder: Path, tmp_path: Path, config: dict[str, Any], trust: bool, problem: str
) -> None:
    (tmp_path / "repo").mkdir()
    for name, content in without(folder).items():
        (tmp_path / "repo" / name).write_bytes(content)
    edit_config(tmp_path / "repo", **config)
    hub.add(REPO, tmp_path / "repo")
    assert problem in refusal(UnusableError, Model(id=REPO, trust_remote_code=trust)).text


def test_command_line_ends_with_one_line_and_the_exit_code(hub: HubServer, tmp_path: Path) -> None:
    """In a process of its own, with the environment as people set it."""
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n' * 4)
    hub.fail("/api/models/", status=429, headers={"Retry-After": "3600"})
    done = subprocess.run(
        [sys.executable, "-m", "engine", "data", str(pairs), "--model", REPO],
        env=hub_environment(hub.address, tmp_path / "home"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == Exit.HUB
    assert done.stderr.splitlines()[-1].startswith(
        f"Cannot find {REPO}: too many requests (429). Wait 3,600 s"
    )
    assert "Traceback" not in done.stderr
    assert not done.stdout
    assert stat.S_ISDIR(tmp_path.stat().st_mode)
