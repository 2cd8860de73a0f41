"""Uploads to the hub: a whole model or nothing, in one commit, and every refusal as one line with a way out."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from engine.exits import HubError
from engine.models import hub as engine_hub
from engine.models.hub import upload
from tests.engine.hub_here import everything_below, point_at, set_offline, soon
from tests.engine.tiny_folder import write_folder
from tests.hub_server import TOKEN, HubServer

REPO = "owner/trained"
STAGES = {
    "create": "POST /api/repos/create",
    "card": "POST /api/validate-yaml",
    "preupload": "POST .*/preupload/",
    "batch": "POST .*/info/lfs/objects/batch",
    "object": "PUT /objects/",
    "commit": "POST .*/commit/",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_folder(tmp_path_factory.mktemp("export"), shard="40KB")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Trained\n")
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def uploaded(hub: HubServer) -> dict[str, bytes]:
    """What anybody can see of the repo, without what the hub puts there itself."""
    repo = hub.repos.get(("model", REPO))
    return {name: content for name, content in repo.head.items() if name != ".gitattributes"} if repo else {}


def refused(folder: Path) -> HubError:
    with pytest.raises(HubError) as caught:
        upload(folder, REPO, private=True)
    error = caught.value
    assert f"Cannot upload to {REPO}: " in error.text
    assert "\n" not in error.text
    assert TOKEN not in error.text + str(error.params)
    return error


def test_upload_makes_a_private_repo_with_exactly_the_folder_s_files(hub: HubServer, model: Path) -> None:
    before = files_of(model)
    assert upload(model, REPO, private=True) == f"{hub.address}/{REPO}"
    assert hub.repos["model", REPO].private
    assert uploaded(hub) == before == files_of(model)
    assert len(hub.lines("/commit/")) == 1


def test_upload_goes_public_only_when_asked(hub: HubServer, model: Path) -> None:
    upload(model, REPO, private=False)
    assert not hub.repos["model", REPO].private


def test_token_goes_to_the_hub_alone_and_into_no_file(hub: HubServer, model: Path, tmp_path: Path) -> None:
    upload(model, REPO, private=True)
    with_token = {request.path for request in hub.requests if request.token}
    assert "/api/repos/create" in with_token
    assert not [path for path in with_token if path.startswith("/objects/")]  # signed addresses, elsewhere
    assert TOKEN.encode() not in everything_below(tmp_path, model)


def test_second_upload_sends_only_what_changed(hub: HubServer, model: Path) -> None:
    upload(model, REPO, private=True)
    (first := hub.lines("PUT"))
    hub.requests.clear()
    upload(model, REPO, private=True)
    assert first
    assert not hub.lines("PUT|/commit/")
    assert uploaded(hub) == files_of(model)


def test_weights_of_an_earlier_upload_do_not_stay_beside_the_new_ones(
    hub: HubServer, model: Path, tmp_path: Path
) -> None:
    """A lone model.safetensors would be loaded instead of the shards."""
    mine = {"LICENSE": b"mine", "onnx/model.safetensors": b"mine"}
    old = {"model.safetensors": b"old", "adapter_config.json": b"{}", "pytorch_model.bin": b"old"}
    repo = hub.add(REPO, {**mine, **old})
    repo.private = True
    upload(model, REPO, private=True)
    assert uploaded(hub) == files_of(model) | mine


def test_private_upload_into_a_public_repo_is_refused(hub: HubServer, model: Path) -> None:
    hub.add(REPO, {"README.md": b"# Public"})
    error = refused(model)
    assert error.code == "hub.public"
    assert "everyone can see it. Add --public" in error.text
    assert uploaded(hub) == {"README.md": b"# Public"}
    upload(model, REPO, private=False)
    assert uploaded(hub) == files_of(model)


REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({"status": 401}, "hub.auth", "log in with `hf auth login`, or set HF_TOKEN"),
    ({"status": 403}, "hub.auth", "wants a login that may write there (403)"),
    ({"status": 409}, "hub.refused", "409"),
    ({"status": 429, "headers": {"Retry-After": "9"}}, "hub.rate_limit", "Wait 9 seconds"),
    ({"status": 500}, "hub.down", "Try again later"),
    ({"kind": "drop"}, "hub.broken", "broke the connection off"),
    ({"kind": "stall"}, "hub.timeout", "gave no answer in time"),
]
ALREADY_THERE = ("create", {"status": 409})
"""No refusal: it means that the repo was created before."""


@pytest.mark.parametrize(
    ("stage", "fault", "code", "way_out"),
    [(stage, *told) for stage in STAGES for told in REFUSALS if (stage, told[0]) != ALREADY_THERE],
)
def test_refusal_at_any_stage_leaves_both_sides_as_they_were(
    hub: HubServer,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    fault: dict[str, Any],
    code: str,
    way_out: str,
) -> None:
    soon(monkeypatch, 0.03)
    before = files_of(model)
    failing = hub.fail(STAGES[stage], **fault)
    error = refused(model)
    assert error.code == code
    assert way_out in error.text
    assert uploaded(hub) == {}
    hub.faults.remove(failing)
    soon(monkeypatch, 20)
    upload(model, REPO, private=True)
    assert uploaded(hub) == before == files_of(model)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("fault", [{"status": 502}, {"kind": "drop"}])
def test_passing_fault_is_got_over(hub: HubServer, model: Path, stage: str, fault: dict[str, Any]) -> None:
    hub.fail(STAGES[stage], times=2, **fault)
    upload(model, REPO, private=True)
    assert uploaded(hub) == files_of(model)


def test_commit_whose_answer_is_lost_is_not_made_twice(
    hub: HubServer, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.fail("POST .*/commit/", kind="cut", times=1)
    upload(model, REPO, private=True)
    assert uploaded(hub) == files_of(model)
    assert len(hub.repos["model", REPO].commits) == 2  # as created, and the upload


def test_upload_resumes_with_the_files_that_arrived(
    hub: HubServer, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = sorted(model.glob("*.safetensors"))
    hub.fail("POST .*/commit/", status=500)
    refused(model)
    hub.faults.clear()
    hub.requests.clear()
    upload(model, REPO, private=True)
    assert len(weights) > 1
    assert not hub.lines("PUT")


def test_hub_without_xet_storage_is_told_from_a_missing_repo(
    hub: HubServer, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What huggingface_hub uploads with by default, against a server that only knows plain uploads."""
    pytest.importorskip("hf_xet")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    error = refused(model)
    assert error.code == "hub.no_xet"
    assert "set HF_HUB_DISABLE_XET=1" in error.text
    assert uploaded(hub) == {}


def test_offline_upload_says_so_before_anything(
    hub: HubServer, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_offline(True, monkeypatch)
    assert "HF_HUB_OFFLINE is set). Unset it." in refused(model).text


def test_unreachable_hub_is_named(hub: HubServer, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_at("http://127.0.0.1:9", monkeypatch)
    assert "http://127.0.0.1:9 cannot be reached" in refused(model).text


def test_upload_without_a_login_says_how_to_log_in(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_hub, "get_token", lambda: None)
    with pytest.raises(HubError, match=r"not logged in\. Log in with `hf auth login`") as caught:
        upload(model, REPO, private=True)
    assert caught.value.code == "hub.no_token"
