"""The small files of a run directory: status, record, control, lock."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.exits import CannotWriteError, UsageError
from engine.process import ProcessId, is_alive, start_time
from engine.rundir.control import Control
from engine.rundir.files import write_whole, writing
from engine.rundir.lock import RunLock, is_locked
from engine.rundir.paths import RunDir
from engine.rundir.status import (
    Reason,
    RunRecord,
    Status,
    read_record,
    read_status,
    write_record,
    write_status,
)
from tests.waiting import until

_STATUS = Status(
    state="failed",
    exit_code=3,
    reason=Reason("data.bad", "x.jsonl:3: bad", {"line": 3}),
    heartbeat=12.5,
    step=4,
    total=9,
)


def test_a_status_reads_back_as_it_was_written(tmp_path: Path) -> None:
    write_status(tmp_path / "status.json", _STATUS)
    assert read_status(tmp_path / "status.json") == _STATUS
    assert (tmp_path / "status.json").stat().st_mode & 0o777 == 0o600


def test_keys_of_a_later_version_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text('{"state": "running", "step": 3, "mood": "good"}')
    assert read_status(tmp_path / "status.json") == Status(state="running", step=3)


@settings(max_examples=30, deadline=None)
@given(st.one_of(st.binary(), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(str)))
def test_a_damaged_status_is_no_status(tmp_path_factory: pytest.TempPathFactory, raw: bytes | str) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.json"
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode(errors="replace"))
    assert read_status(path) is None
    assert read_record(path) is None


@pytest.mark.parametrize("text", ['{"state": "sleeping"}', '{"state": 3}', '{"state": "done", "step": "x"}'])
def test_values_of_another_type_do_no_harm(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_text(text)
    status = read_status(tmp_path / "status.json")
    assert status is None or status == Status(state="done")


def test_a_record_reads_back_as_it_was_written(tmp_path: Path) -> None:
    record = RunRecord(
        id="a",
        pid=3,
        start_time=1.25,
        owner=ProcessId(2, 1.0),
        host="h",
        launcher="local",
        job_id=None,
        argv=["x", "/run"],
    )
    write_record(tmp_path / "run.json", record)
    assert read_record(tmp_path / "run.json") == record


def test_a_final_status_is_written_even_if_there_is_no_room_for_a_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "status.json"
    write_status(path, Status(state="running", reason=Reason("x", "long" * 100)))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CannotWriteError):
        write_status(path, Status(state="running"))
    write_status(path, _STATUS)
    assert read_status(path) == _STATUS


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(CannotWriteError, match=r"no space left.*3 bytes needed, .* bytes free"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("number", "named"),
    [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EROFS, False), (errno.EXDEV, False)],
)
def test_every_refusal_of_a_disk_has_words_and_bytes_only_where_space_lacks(
    tmp_path: Path, number: int, named: bool
) -> None:
    with pytest.raises(CannotWriteError, match="cannot write") as caught, writing(tmp_path / "f", 7):
        raise OSError(number, os.strerror(number))
    assert ("bytes free" in caught.value.text) == named


def test_a_checkpoint_request_is_answered_once(tmp_path: Path) -> None:
    control = Control(tmp_path / "control")
    assert not control.take_checkpoint_request()
    control.request_checkpoint()
    assert control.take_checkpoint_request()
    assert not control.take_checkpoint_request()


def test_leftover_requests_are_cleared(tmp_path: Path) -> None:
    control = Control(tmp_path / "control")
    control.clear()
    control.request_stop()
    control.request_stop()
    control.request_checkpoint()
    assert control.stop_requested()
    control.clear()
    assert not control.stop_requested()
    assert not control.take_checkpoint_request()


def test_a_second_supervisor_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert not is_locked(lock)
    with RunLock(lock):
        assert is_locked(lock)
        with pytest.raises(UsageError, match="another process"), RunLock(lock, patience=0):
            pass
    assert not is_locked(lock)
    with RunLock(lock, patience=0):
        pass


def test_where_there_are_no_locks_nobody_is_known_to_hold_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    files = len(os.listdir("/proc/self/fd"))

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert not is_locked(lock)
    with pytest.raises(CannotWriteError, match="has no locks"), RunLock(lock):
        pass
    assert len(os.listdir("/proc/self/fd")) == files


def test_the_logs_of_the_ranks_have_their_places(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "tiny")
    assert run.name == "tiny"
    assert run.rank_log(0) == run.train_log
    assert run.rank_log(3) == run.root / "ranks" / "rank-3.log"


def test_this_process_is_alive_and_another_start_time_is_another_process() -> None:
    own = ProcessId.own()
    assert own.alive()
    assert is_alive(own.pid, None)
    assert not is_alive(own.pid, own.start_time + 5)


def test_a_zombie_is_not_alive() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    try:
        until(lambda: start_time(process.pid) is None)
        assert not is_alive(process.pid, None)
    finally:
        process.wait()


def test_a_process_with_brackets_in_its_name_has_a_start_time(tmp_path: Path) -> None:
    sleep = tmp_path / "a) S (b"
    sleep.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(sleep), "60"])
    try:
        until(lambda: ")" in Path(f"/proc/{process.pid}/comm").read_text())
        assert is_alive(process.pid, start_time(process.pid))
    finally:
        process.kill()
        process.wait()


def test_a_process_dies_with_its_parent(tmp_path: Path) -> None:
    child = (
        "import sys, time, pathlib, os\n"
        "from engine.process import parent_death_signal\n"
        "parent_death_signal()\n"
        "pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    pid_file = tmp_path / "pid"
    process = subprocess.Popen([sys.executable, "-c", parent, child, str(pid_file)])
    pid = int(until(lambda: pid_file.exists() and pid_file.read_text()))
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not is_alive(pid, None))


def test_a_process_whose_supervisor_is_gone_does_not_start() -> None:
    code = (
        "from engine.process import ProcessId, parent_death_signal\n"
        "parent_death_signal(ProcessId(1, -1.0))\n"
        "print('started')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "started" not in done.stdout
    assert "supervisor" in done.stderr


def test_files_of_a_run_hold_json_that_others_can_read(tmp_path: Path) -> None:
    write_status(tmp_path / "status.json", _STATUS)
    assert json.loads((tmp_path / "status.json").read_text())["reason"]["params"] == {"line": 3}


def test_a_wish_to_stop_what_was_just_sent_outlives_its_start(tmp_path: Path) -> None:
    """What an attempt before was asked does not, nor what its supervisor asked for itself."""
    control, sent = Control(tmp_path / "control"), tmp_path / "job.json"
    sent.touch()
    control.pass_on_stop()
    assert control.stop_requested()
    assert not control.stop_wished()
    control.request_stop()
    for age, stays in ((5.0, True), (-5.0, False)):
        os.utime(tmp_path / "control" / "stop", times=(sent.stat().st_mtime + age,) * 2)
        control.clear(sent)
        assert control.stop_requested() == control.stop_wished() == stays
    control.request_stop()
    control.clear()
    assert not control.stop_requested()
