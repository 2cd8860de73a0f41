"""Deleting runs: what is named before, what is refused, and what is left."""

import errno
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from dpo_tui.deleting import delete, doomed
from engine.exits import CannotWriteError, UsageError
from engine.process import ProcessId
from engine.rundir.lock import RunLock
from tests.tui.fake_runs import NOW, make_run


def test_what_would_go_is_counted(tmp_path: Path) -> None:
    run = make_run(tmp_path, total=100, save_every=40)
    found = doomed(run.root)
    assert found.checkpoints == 3
    assert not found.exported
    assert found.bytes == sum(path.stat().st_size for path in run.root.rglob("*") if path.is_file())
    run.export_dir.mkdir()
    assert doomed(run.root).exported


def test_a_deleted_run_is_gone_and_its_neighbours_stay(tmp_path: Path) -> None:
    run, other = make_run(tmp_path, "a"), make_run(tmp_path, "b")
    delete(run.root)
    assert [path.name for path in tmp_path.iterdir()] == [other.name]


def test_a_live_run_is_not_deleted(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running")
    with pytest.raises(UsageError, match="stop it first"):
        delete(run.root)
    assert run.config.exists()


def test_a_run_that_lives_on_another_machine_is_not_deleted(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running", host="node7", heard=time.time())
    with pytest.raises(UsageError):
        delete(run.root)
    assert run.config.exists()


def test_a_run_that_a_supervisor_holds_is_not_deleted(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with RunLock(run.lock):
            held.set()
            let_go.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    try:
        with pytest.raises(UsageError):
            delete(run.root)
    finally:
        let_go.set()
        thread.join()
    assert run.config.exists()


def test_a_run_that_is_being_exported_is_not_deleted(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    own = ProcessId.own()
    record = {"pid": own.pid, "start_time": own.start_time, "host": socket.gethostname()}
    (run.root / "export.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match="being exported"):
        delete(run.root)
    run.export_events.write_text('{"type": "end", "exit_code": 0}\n')
    delete(run.root)
    assert not run.root.exists()


def test_only_runs_are_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "final.tex").write_text("x")
    with pytest.raises(UsageError, match="is no run"):
        delete(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "final.tex").exists()


def test_a_damaged_run_can_be_deleted(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.config.unlink()
    delete(run.root)
    assert not run.root.exists()


def test_a_link_to_a_run_is_removed_and_the_run_stays(tmp_path: Path) -> None:
    run = make_run(tmp_path / "elsewhere")
    link = tmp_path / "link"
    link.symlink_to(run.root)
    delete(link)
    assert not link.is_symlink()
    assert run.config.exists()


def test_what_a_removal_cut_short_has_left_goes_with_the_next(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = tmp_path / f".run.a.deleted-{gone.pid}"
    going = tmp_path / f".other.deleted-{os.getpid()}"
    for folder in (left, going, tmp_path / ".deleted-7", tmp_path / ".mine"):
        (folder / "checkpoints").mkdir(parents=True)
    delete(make_run(tmp_path, "b").root)
    assert {path.name for path in tmp_path.iterdir()} == {going.name, ".deleted-7", ".mine"}


def test_what_a_removal_leaves_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, "a")

    def fail(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", fail)
    with pytest.raises(CannotWriteError, match=rf"\.a\.deleted-{os.getpid()}: cannot write"):
        delete(run.root)


def test_a_run_of_a_silent_machine_is_named_as_such(tmp_path: Path) -> None:
    assert doomed(make_run(tmp_path, "far", "running", host="node7", heard=NOW).root).silent
    assert not doomed(make_run(tmp_path, "near", "failed").root).silent
    assert not doomed(make_run(tmp_path, "lost", "running", live=False).root).silent
