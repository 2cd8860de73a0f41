"""The supervisor under signals, requests, kills and the loss of its owner: no process left behind."""

import json
import os
import signal
import subprocess

import pytest

from engine.exits import Exit, UsageError
from engine.launch.local import STOPPING_SIGNALS
from engine.process import ProcessId, is_alive
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.control import Control
from engine.rundir.events import effective_steps, read_events
from engine.rundir.lock import RunLock
from engine.rundir.paths import RunDir
from engine.rundir.status import Status, read_record, write_status
from engine.supervise import supervise
from tests.fake_engine import ranks, supervisor
from tests.unit.supervised_runs import Start, pid_of, status_of
from tests.waiting import until


def _steps(run: RunDir) -> int:
    return len(effective_steps(read_events(run.events)))


@pytest.mark.parametrize("number", sorted(STOPPING_SIGNALS))
def test_a_signal_saves_a_checkpoint_and_stops(
    tiny_run: RunDir, start_tiny: Start, number: signal.Signals
) -> None:
    process = start_tiny("--endless")
    until(lambda: _steps(tiny_run) > 2)
    process.send_signal(number)
    assert process.wait(30) == Exit.STOPPED
    assert (status_of(tiny_run).state, status_of(tiny_run).exit_code) == ("stopped", 5)
    step = status_of(tiny_run).step
    assert CheckpointIndex(tiny_run.checkpoints_dir).newest_verified(lambda *_: None) == step > 2


def test_a_signal_at_the_very_start_stops_before_the_training(tiny_run: RunDir, start_tiny: Start) -> None:
    process = start_tiny("--endless")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == Exit.STOPPED
    assert (status_of(tiny_run).state, status_of(tiny_run).exit_code) == ("stopped", 5)


def test_a_second_interrupt_kills_now(tiny_run: RunDir, start_tiny: Start) -> None:
    process = start_tiny("--endless", "--deaf")
    until(lambda: _steps(tiny_run) > 2)
    process.send_signal(signal.SIGINT)
    until(lambda: status_of(tiny_run).state == "stopping")
    process.send_signal(signal.SIGTERM)  # asks again, and does not kill
    steps = _steps(tiny_run)
    until(lambda: _steps(tiny_run) > steps + 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == Exit.INTERRUPTED
    assert (status_of(tiny_run).state, status_of(tiny_run).exit_code) == ("stopped", 130)
    assert not is_alive(pid_of(tiny_run, "rank-0"), None)


def test_a_request_in_the_control_directory_stops_and_an_old_one_does_not(
    tiny_run: RunDir, start_tiny: Start
) -> None:
    Control(tiny_run.control_dir).request_stop()
    process = start_tiny("--endless")
    until(lambda: _steps(tiny_run) > 2)
    Control(tiny_run.control_dir).request_stop()
    assert process.wait(30) == Exit.STOPPED


def test_the_heartbeat_goes_on_and_the_status_shows_the_step(tiny_run: RunDir, start_tiny: Start) -> None:
    start_tiny("--endless", "--steps", "9000")
    until(lambda: tiny_run.status_json.exists() and status_of(tiny_run).step > 0)
    first = status_of(tiny_run)
    assert (first.state, first.total) == ("running", 9000)
    until(lambda: status_of(tiny_run).heartbeat > first.heartbeat)
    assert status_of(tiny_run).heartbeat - first.heartbeat < 2


def test_the_loss_of_the_owner_stops_the_run_with_a_checkpoint(tiny_run: RunDir) -> None:
    owner = subprocess.Popen(["/bin/sleep", "600"])
    found = until(lambda: _started(owner.pid))
    argv = supervisor("--endless")(tiny_run, found)
    process = subprocess.Popen(argv)
    try:
        until(lambda: _steps(tiny_run) > 2)
        owner.kill()
        owner.wait()
        assert process.wait(30) == Exit.STOPPED
        assert CheckpointIndex(tiny_run.checkpoints_dir).latest() == status_of(tiny_run).step
        reason = status_of(tiny_run).reason
        assert reason is not None
        assert reason.code == "train.stopped"
        assert reason.text.startswith("the terminal or job that started it is gone; stopped")
    finally:
        process.kill()
        process.wait()


def _started(pid: int) -> ProcessId | None:
    from engine.process import start_time

    started = start_time(pid)
    return None if started is None else ProcessId(pid, started)


def test_a_killed_supervisor_leaves_no_rank(tiny_run: RunDir, start_tiny: Start) -> None:
    process = start_tiny("--endless", "--deaf")
    rank = pid_of(tiny_run, "rank-0")
    until(lambda: _steps(tiny_run) > 0)
    process.kill()
    process.wait()
    until(lambda: not is_alive(rank, None))


def test_what_a_rank_started_ends_with_it(tiny_run: RunDir, start_tiny: Start) -> None:
    process = start_tiny("--child", "--steps", "2")
    assert process.wait(30) == Exit.DONE
    until(lambda: not is_alive(pid_of(tiny_run, "child"), None))


def test_a_second_supervisor_is_refused_and_does_no_harm(tiny_run: RunDir, start_tiny: Start) -> None:
    with RunLock(tiny_run.lock):
        write_status(tiny_run.status_json, Status(state="running", step=3))
        assert start_tiny().wait(30) != 0
        with pytest.raises(UsageError, match="another process"):
            supervise(tiny_run, ranks())
    assert status_of(tiny_run) == Status(state="running", step=3)
    assert not tiny_run.run_json.exists()


def test_after_a_kill_the_next_attempt_goes_on_from_the_checkpoint(
    tiny_run: RunDir, start_tiny: Start
) -> None:
    process = start_tiny("--endless", "--steps", "9000")
    until(lambda: _steps(tiny_run) > 2)
    Control(tiny_run.control_dir).request_checkpoint()
    saved = until(lambda: CheckpointIndex(tiny_run.checkpoints_dir).latest() or 0)
    until(lambda: _steps(tiny_run) > saved + 2)
    process.kill()
    process.wait()
    until(lambda: not is_alive(pid_of(tiny_run, "rank-0"), None))
    with tiny_run.events.open("a") as events:
        events.write('{"v": 1, "type": "st')
    id_before = read_record(tiny_run.run_json)
    assert supervise(tiny_run, ranks("--steps", str(saved + 4))) is Exit.DONE
    steps = [event["step"] for event in effective_steps(read_events(tiny_run.events))]
    assert steps == list(range(1, saved + 5))
    assert all(json.loads(line) for line in tiny_run.events.read_text().splitlines())
    record = read_record(tiny_run.run_json)
    assert record is not None
    assert id_before is not None
    assert (record.id, record.pid) == (id_before.id, os.getpid())
    assert json.loads(tiny_run.summary_json.read_text())["attempts"] == 2
