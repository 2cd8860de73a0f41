"""A push that fails costs nothing: the proved folder stays, and the same command uploads it and writes nothing."""

import json
import shlex
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from engine.exits import Exit, HubError, UsageError
from engine.export.command import main
from engine.export.export import export
from engine.rundir.paths import RunDir
from tests.engine.hub_here import everything_below, forget, hub_here, soon
from tests.engine.tiny_run import LORA, tiny_run
from tests.hub_server import TOKEN, HubServer

REPO = "owner/trained"


@pytest.fixture(scope="module")
def refused_once(tmp_path_factory: pytest.TempPathFactory, model: Path) -> RunDir:
    """A run whose export was proved, and whose upload the hub refused."""
    place = tmp_path_factory.mktemp("pushed")
    run = tiny_run(place / "run", model, evals={2: 0.6, 4: 0.7})
    with pytest.MonkeyPatch.context() as patch, hub_here(place, patch) as hub:
        hub.fail("POST .*/commit/", status=403)
        with pytest.raises(HubError, match=r"Cannot upload to owner/trained: the hub wants a login"):
            export(run, push=REPO)
        assert not hub.lines("PUT .*README")
    return run


@pytest.fixture
def run(refused_once: RunDir, tmp_path: Path) -> RunDir:
    """A copy of it, to go on with."""
    return RunDir(Path(shutil.copytree(refused_once.root, tmp_path / "run")))


@pytest.fixture
def nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("trained_policy", "write_model", "prove"):
        monkeypatch.setattr(f"engine.export.export.{name}", written_again)


class WrittenAgainError(Exception):
    """What was there was not used."""


def written_again(*_: object) -> None:
    raise WrittenAgainError


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def uploaded(hub: HubServer) -> dict[str, bytes]:
    """What anybody can see of the repo, without what the hub puts there itself."""
    repo = hub.repos.get(("model", REPO))
    return {name: content for name, content in repo.head.items() if name != ".gitattributes"} if repo else {}


@pytest.mark.usefixtures("nothing_is_written")
@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ("POST /api/repos/create", {"status": 401}),
        ("POST .*/commit/", {"status": 500}),
        ("PUT /objects/", {"kind": "stall"}),
        ("PUT /objects/", {"kind": "drop"}),
        ("POST .*/objects/batch", {"kind": "cut"}),
        ("POST .*/commit/", {"status": 429, "headers": {"Retry-After": "3600"}}),
    ],
)
def test_it_can_be_repeated_until_it_goes_through(
    hub: HubServer, run: RunDir, monkeypatch: pytest.MonkeyPatch, place: str, fault: dict[str, Any]
) -> None:
    before = state(run.export_dir)
    hub.fail(place, **fault)
    soon(monkeypatch, 0.05)
    for _ in range(2):
        with pytest.raises(HubError) as caught:
            export(run, push=REPO)
        assert caught.value.exit is Exit.HUB
        assert f"The export is in {run.export_dir}; to upload it again: dpo-tui export" in caught.value.text
        assert "\n" not in caught.value.text
        assert uploaded(hub) == {}
        assert state(run.export_dir) == before
    hub.faults.clear()
    soon(monkeypatch, 20)
    done = export(run, push=REPO)
    assert done.reused
    assert done.proof
    assert state(run.export_dir) == before
    assert uploaded(hub) == {name: content for name, (_, content) in before.items()}


@pytest.mark.usefixtures("nothing_is_written")
def test_the_command_that_the_error_names_does_it(
    hub: HubServer, run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = hub.fail("POST .*/commit/", status=403)
    with pytest.raises(HubError) as caught:
        main([str(run.root), "--push", REPO])
    words = shlex.split(caught.value.text.partition("to upload it again: ")[2])
    assert words == ["dpo-tui", "export", str(run.root), "--push", REPO]
    hub.faults.remove(refusal)
    assert main(words[2:]) is Exit.DONE
    shown = capsys.readouterr()
    assert shown.out == f"{run.export_dir}\n"
    assert shown.err.splitlines()[-1] == "already written and verified: only uploaded"
    assert "model.safetensors" in uploaded(hub)


def test_the_command_repeats_what_the_config_does_not_say(
    hub: HubServer, tmp_path: Path, model: Path
) -> None:
    run = tiny_run(tmp_path / "lora run", model, LORA, evals={2: 0.5, 4: 0.6})
    hub.fail("POST .*/commit/", status=500)
    odd: dict[str, Any] = {"checkpoint": 2, "dtype": "float32", "to": tmp_path / "my place", "private": False}
    with pytest.raises(HubError) as caught:
        export(run, push=REPO, adapter=True, verify=False, **odd)
    words = shlex.split(caught.value.text.partition("to upload it again: ")[2])
    hub.faults.clear()
    before = state(tmp_path / "my place")
    assert main(words[2:]) is Exit.DONE
    assert state(tmp_path / "my place") == before
    assert not hub.repos["model", REPO].private
    assert json.loads(uploaded(hub)["dpo-tui.json"])["step"] == 2


def flip(folder: Path) -> None:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)


def forget_proof(folder: Path) -> None:
    record = json.loads((folder / "dpo-tui.json").read_text())
    (folder / "dpo-tui.json").write_text(json.dumps({**record, "proof": None}))


@pytest.mark.parametrize(
    "change",
    [
        flip,
        forget_proof,
        lambda folder: (folder / "tokenizer.json").unlink(),
        lambda folder: (folder / "dpo-tui.json").write_text('{"files": []}'),
    ],
    ids=["a bit", "no proof", "a file gone", "an empty record"],
)
@pytest.mark.usefixtures("nothing_is_written")
def test_a_folder_that_is_not_as_it_was_proved_is_not_uploaded(
    hub: HubServer, run: RunDir, change: Any
) -> None:
    change(run.export_dir)
    with pytest.raises((WrittenAgainError, UsageError)):
        export(run, push=REPO)
    assert not hub.lines("PUT|commit|create")


@pytest.mark.parametrize("other", [{"dtype": "float32"}, {"checkpoint": 2}, {"push": "owner/other"}])
@pytest.mark.usefixtures("nothing_is_written")
def test_another_export_is_not_taken_for_it(hub: HubServer, run: RunDir, other: dict[str, Any]) -> None:
    with pytest.raises(WrittenAgainError):
        export(run, **{"push": REPO, **other})
    assert not hub.lines("PUT|commit|create")


@pytest.mark.usefixtures("nothing_is_written")
def test_the_token_is_in_no_file_and_goes_to_no_other_host(
    hub: HubServer, run: RunDir, tmp_path: Path
) -> None:
    other = hub.address.replace("127.0.0.1", "localhost")
    places = ["POST /api/repos/create", "GET /api/models/owner/trained$", "POST .*/preupload/main"]
    export(run, push=REPO)
    assert hub.repos["model", REPO].private
    for place in places:
        path = next(request.path for request in hub.requests if request.line in hub.lines(place))
        redirect = hub.fail(place, status=307, headers={"Location": other + path}, times=1)
        forget()
        with suppress(HubError):  # without its token the other host refuses it
            export(run, push=REPO)
        hub.faults.remove(redirect)
    elsewhere = [request for request in hub.requests if request.host.startswith("localhost")]
    assert {request.method for request in elsewhere} == {"GET", "POST"}
    assert not [request for request in elsewhere if request.token]
    assert TOKEN.encode() not in everything_below(tmp_path)
