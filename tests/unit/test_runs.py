"""Finding, listing and stopping runs, and what is said of runs whose supervisor is gone."""

import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from rich.cells import cell_len

from dpo_tui.runs import effective_state, find, is_live, show
from dpo_tui.stopping import stop
from engine.exits import Exit, UsageError
from engine.launch.local import spawn_supervisor
from engine.process import ProcessId
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import effective_steps, read_events
from engine.rundir.lock import RunLock
from engine.rundir.paths import RunDir
from engine.rundir.status import Reason, RunRecord, State, Status, read_status, write_record, write_status
from tests.fake_engine import CONFIG, supervisor
from tests.waiting import until


def _make(runs: Path, name: str, state: State | None = "done", **fields: object) -> RunDir:
    """A run directory as an ended or killed attempt leaves it."""
    run = RunDir(runs / name)
    run.root.mkdir(parents=True)
    run.config.write_text(CONFIG)
    if state is not None:
        write_status(run.status_json, Status(state=state, heartbeat=time.time(), **fields))  # type: ignore[arg-type]
    return run


def _record(run: RunDir, process: ProcessId, host: str | None = None) -> None:
    record = RunRecord(
        id="i",
        pid=process.pid,
        start_time=process.start_time,
        owner=None,
        host=host or socket.gethostname(),
        launcher="local",
        job_id=None,
        argv=[],
    )
    write_record(run.run_json, record)


GONE = ProcessId(os.getpid(), -5.0)


def test_a_run_is_found_by_name_by_directory_and_by_its_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = _make(tmp_path / "runs", "tiny").root
    other = _make(tmp_path / "elsewhere", "other").root
    assert find("tiny") == root
    assert find("runs/tiny") == root
    assert find("runs/tiny/config.toml") == root
    assert find(str(root)) == root
    assert find("other", tmp_path / "elsewhere") == other
    assert find("other", Path("elsewhere")) == other


@pytest.mark.parametrize("name", ["tiyn", "", ".", "..", "/", "runs", "x/../tiny2"])
def test_what_is_no_run_is_refused_and_a_near_name_is_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _make(tmp_path / "runs", "tiny")
    with pytest.raises(UsageError, match="did you mean tiny" if name == "tiyn" else "no run") as caught:
        find(name)
    assert caught.value.exit is Exit.USAGE


def test_a_running_status_whose_supervisor_is_gone_is_a_failure_with_a_way_on(tmp_path: Path) -> None:
    run = _make(tmp_path, "tiny", "running", step=3, total=9)
    _record(run, GONE)
    status = effective_state(run)
    assert (status.state, status.exit_code, status.step, status.total) == ("failed", 1, 3, 9)
    assert status.reason is not None
    assert "its supervisor is gone; resume" in status.reason.text


def test_a_running_status_of_a_live_supervisor_is_what_it_says(tmp_path: Path) -> None:
    run = _make(tmp_path, "tiny", "running")
    _record(run, ProcessId.own())
    assert effective_state(run).state == "running"
    assert is_live(run)


def test_a_final_status_needs_no_supervisor(tmp_path: Path) -> None:
    run = _make(tmp_path, "tiny", "stopped", exit_code=5)
    _record(run, GONE)
    assert effective_state(run) == read_status(run.status_json)


def test_a_held_lock_is_a_live_run_even_without_a_record(tmp_path: Path) -> None:
    run = _make(tmp_path, "tiny", "running")
    with RunLock(run.lock):
        assert effective_state(run).state == "running"
    assert effective_state(run).state == "failed"


def test_a_run_on_another_host_is_judged_by_its_heartbeat(tmp_path: Path) -> None:
    run = _make(tmp_path, "tiny", "running")
    _record(run, GONE, host="node7")
    assert effective_state(run).state == "running"
    write_status(run.status_json, Status(state="running", heartbeat=time.time() - 300))
    assert effective_state(run).state == "failed"


def test_a_run_without_a_status_is_queued_at_first_and_failed_later(tmp_path: Path) -> None:
    run = _make(tmp_path, "tiny", None)
    assert effective_state(run).state == "queued"
    os.utime(run.config, (0, 0))
    assert effective_state(run).state == "failed"


def test_runs_are_listed_the_latest_first_with_their_real_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = _make(tmp_path, "old", "done", exit_code=0, step=5, total=5)
    write_status(old.status_json, Status(state="done", exit_code=0, step=5, total=5, heartbeat=100.0))
    _record(_make(tmp_path, "lost", "running"), GONE)
    (tmp_path / "notes").mkdir()
    (tmp_path / ".new.123").mkdir()
    assert show(tmp_path, json=True) is Exit.DONE
    listed = json.loads(capsys.readouterr().out)
    assert [(run["name"], run["state"]) for run in listed] == [("lost", "failed"), ("old", "done")]
    assert show(tmp_path, json=False) is Exit.DONE
    header, lost, done = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "STATE", "STEP", "HEARD", "REASON"]
    assert "supervisor is gone" in lost
    assert "5/5" in done


def test_control_characters_in_a_list_of_runs_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = Reason("x", "\x1b]52;c;doom\x07 \x9b31m\u202e[red]x[/]")
    _make(tmp_path, "na\x1b[2Jme\x07", "failed", exit_code=1, reason=reason)
    show(tmp_path, json=False)
    show(tmp_path, json=True)
    out = capsys.readouterr().out
    assert not any(char in out for char in "\x1b\x07\x9b\u202e")
    assert "[red]x[/]" in out


def test_the_table_fits_the_terminal_and_falls_back_to_the_newest_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _make(tmp_path, "tiny", "failed", exit_code=1, reason=Reason("x", "很长 " * 40))
    saved = run.checkpoints_dir / "step-30"
    saved.mkdir(parents=True)
    (saved / "manifest.json").touch()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    show(tmp_path, json=False)
    header, row = capsys.readouterr().out.splitlines()
    assert row.split()[:3] == ["tiny", "failed", "30"]
    assert row.endswith("…")
    assert cell_len(row) == 60
    assert len(header) < 60


@pytest.mark.parametrize("runs", ["empty", "missing"])
def test_no_runs_are_an_empty_list(tmp_path: Path, capsys: pytest.CaptureFixture[str], runs: str) -> None:
    (tmp_path / "empty").mkdir()
    assert show(tmp_path / runs, json=True) is Exit.DONE
    assert json.loads(capsys.readouterr().out) == []
    assert show(tmp_path / runs, json=False) is Exit.DONE
    out, err = capsys.readouterr()
    assert out == ""
    assert "no runs" in err


def _start(run: RunDir, *options: str) -> subprocess.Popen[bytes]:
    process = spawn_supervisor(run, owner=False, command=supervisor("--endless", *options))
    until(lambda: len(effective_steps(read_events(run.events))) > 2)
    return process


@pytest.mark.parametrize("wait", [True, False])
def test_stopping_a_run_saves_a_checkpoint(tmp_path: Path, wait: bool) -> None:
    run = _make(tmp_path, "tiny", None)
    process = _start(run)
    try:
        assert stop(run.root, wait=wait) is Exit.DONE
        if wait:
            assert effective_state(run).state == "stopped"
        assert process.wait(30) == Exit.STOPPED
        assert CheckpointIndex(run.checkpoints_dir).latest() is not None
    finally:
        process.kill()
        process.wait()


def test_waiting_for_a_run_that_fails_instead_of_stopping_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _make(tmp_path, "tiny", None)
    process = _start(run, "--fail-on-stop", "--say", "too late")
    try:
        assert stop(run.root, wait=True) is Exit.TRAINING_FAILED
        assert "too late" in capsys.readouterr().err
    finally:
        process.kill()
        process.wait()


def test_stopping_what_does_not_run_leaves_no_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _make(tmp_path, "tiny", "done", exit_code=0)
    assert stop(run.root, wait=True) is Exit.DONE
    assert "not running" in capsys.readouterr().err
    assert not run.control_dir.exists()
