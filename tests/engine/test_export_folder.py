"""The folder of an export: replaced whole, never shared by two, and nobody else's is touched."""

import json
import os
from pathlib import Path

import pytest

from engine.exits import CannotWriteError, UsageError
from engine.export.command import main
from engine.export.export import export
from engine.export.folder import reserved
from engine.rundir.events import read_events
from engine.rundir.paths import RunDir
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_run import exported, fail_with, tiny_run


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "secret-user" / "base", attention_dropout=0.1)


@pytest.fixture
def run(tmp_path: Path, model: Path) -> RunDir:
    return tiny_run(tmp_path / "run", model)


def leftovers(folder: Path) -> list[Path]:
    """What an export leaves beside its folder."""
    return [path for path in folder.parent.iterdir() if path.name.startswith(f".{folder.name}")]


def test_earlier_export_is_replaced_whole(run: RunDir) -> None:
    folder = exported(run, dtype="float32")
    again = exported(run, dtype="bfloat16")
    assert again == folder
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    assert not leftovers(folder)


def test_an_export_that_another_takes_the_place_of_is_named(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    first = export(run, dtype="float32", verify=False)
    assert export(run, dtype="float32", verify=False).notices == first.notices == ()
    events = run.root / "events"
    main([str(run.root), "--no-verify", "--dtype=bfloat16", f"--progress={events}"])
    said = f"{run.export_dir} held an earlier export, of step 4 (merged model in float32, of base)"
    assert f"note: {said}" in capsys.readouterr().err
    (told,) = (event for event in read_events(events) if event["type"] == "warning")
    assert told["code"] == "export.replaced"
    assert said in told["text"]


def test_empty_folder_may_be_filled(run: RunDir, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert exported(run, to=tmp_path / "empty") == tmp_path / "empty"


@pytest.mark.parametrize("case", ["foreign", "added", "git", "home", "root", "file", "link", "run"])
def test_folder_that_is_not_ours_is_left_alone(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    target = tmp_path / "target"
    precious = target / "precious.txt"
    if case == "added":
        exported(run, to=target)
    target.mkdir(exist_ok=True)
    precious.write_text("mine")
    monkeypatch.setenv("HOME", str(target) if case == "home" else "/nowhere")
    if case in ("git", "home"):
        precious = target / ".git"
        (target / "precious.txt").rename(precious)
    (tmp_path / "link").symlink_to(target)
    targets = {"root": Path("/"), "file": precious, "link": tmp_path / "link", "run": run.root}
    before = sorted(os.listdir(target))
    with pytest.raises(UsageError, match="nothing is written there") as caught:
        export(run, to=targets.get(case, target))
    assert caught.value.code == "export.bad_target"
    assert sorted(os.listdir(target)) == before
    assert precious.read_text() == "mine"


def test_two_exports_to_one_folder_do_not_meet(run: RunDir) -> None:
    folder = exported(run, dtype="float32")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with reserved(folder), pytest.raises(UsageError, match="another export is being written there") as caught:
        export(run, dtype="bfloat16")
    assert caught.value.code == "export.busy"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not leftovers(folder)


def test_lock_that_a_killed_export_left_holds_nobody_up(run: RunDir) -> None:
    (run.root / ".export.lock").write_text("")
    assert exported(run) == run.export_dir
    assert not leftovers(run.export_dir)


def test_earlier_export_comes_back_after_a_kill_between_two_renames(run: RunDir) -> None:
    folder = exported(run, dtype="float32")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    folder.rename(folder.with_name(".export.replaced"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.export.export.write_model", fail_with(OSError(28, "No space left on device")))
        with pytest.raises(CannotWriteError):
            export(run)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_disk_too_small_is_said_before_anything_is_written(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.export.folder.free_bytes", lambda _path: 100)
    with pytest.raises(CannotWriteError, match="no space left"):
        export(run, to=tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_failure_while_writing_leaves_the_earlier_export(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    folder = exported(run, dtype="float32")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr("engine.export.files.write_card", fail_with(failure))
    with pytest.raises((CannotWriteError, KeyboardInterrupt)):
        exported(run, dtype="bfloat16")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not leftovers(folder)
