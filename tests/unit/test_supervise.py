"""The supervisor: exit codes and reasons, stops, kills, and no process left behind."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.config.load import LoadedConfig, load_config
from engine.exits import Exit, UsageError
from engine.launch.local import STOPPING_SIGNALS, spawn_supervisor
from engine.process import ProcessId, is_alive
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.control import Control
from engine.rundir.events import EventWriter, effective_steps, read_events
from engine.rundir.lock import RunLock
from engine.rundir.paths import RunDir
from engine.rundir.status import Status, read_record, read_status, write_status
from engine.supervise import supervise
from tests.fake_engine import CONFIG, ranks, supervisor
from tests.waiting import until

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run that has not started."""
    directory = RunDir(tmp_path / "tiny")
    directory.root.mkdir()
    directory.config.write_text(CONFIG)
    return directory


@pytest.fixture
def start(run: RunDir) -> Iterator[Start]:
    """Starts the supervisor of `run` as a process of its own; it is killed at the end of the test."""
    started: list[subprocess.Popen[bytes]] = []

    def starter(*options: str, owner: bool = False) -> subprocess.Popen[bytes]:
        started.append(spawn_supervisor(run, owner=owner, command=supervisor(*options)))
        return started[-1]

    yield starter
    for process in started:
        process.kill()
        process.wait()


def _status(run: RunDir) -> Status:
    status = read_status(run.status_json)
    assert status is not None
    return status


def _steps(run: RunDir) -> int:
    return len(effective_steps(read_events(run.events)))


def _pid(run: RunDir, name: str) -> int:
    path = run.root / f"{name}.pid"
    return int(until(lambda: path.exists() and path.read_text()))


def _reason(run: RunDir) -> str:
    reason = _status(run).reason
    assert reason is not None
    return reason.text


def test_a_training_that_ends_is_done_with_a_summary(run: RunDir) -> None:
    assert supervise(run, ranks("--steps", "4")) is Exit.DONE
    status = _status(run)
    assert (status.state, status.exit_code, status.step, status.total) == ("done", 0, 4, 4)
    summary = json.loads(run.summary_json.read_text())
    assert (summary["state"], summary["exit_code"], summary["steps"]) == ("done", 0, 4)
    assert summary["train"]["loss"] == 0.25
    assert summary["eval"]["best"] == {"step": 4, "loss": 0.25}
    assert summary["checkpoints"]["latest"]["path"] == "checkpoints/step-4"
    assert summary["durations"]["phases"]["train"] > 0
    assert summary["export"] == str(run.export_dir)
    assert "python" in summary["versions"]
    record = read_record(run.run_json)
    assert record is not None
    assert record.supervisor == ProcessId.own()


def test_handlers_of_the_caller_come_back(run: RunDir) -> None:
    before = [signal.getsignal(number) for number in STOPPING_SIGNALS]
    supervise(run, ranks("--steps", "1"))
    assert [signal.getsignal(number) for number in STOPPING_SIGNALS] == before


@pytest.mark.parametrize("code", [1, 3, 6, 8])
def test_the_exit_code_of_a_failed_rank_is_that_of_the_run_and_its_last_words_are_the_reason(
    run: RunDir, code: int
) -> None:
    assert supervise(run, ranks("--fail-at", "2", "--code", str(code), "--say", "x.jsonl:3: bad")) == code
    assert (_status(run).state, _status(run).exit_code) == ("failed", code)
    assert "rank 0" in _reason(run)
    assert "x.jsonl:3: bad" in _reason(run)


def test_an_exit_code_without_a_meaning_is_a_failed_training(run: RunDir) -> None:
    assert supervise(run, ranks("--fail-at", "1", "--code", "77")) is Exit.TRAINING_FAILED
    assert "77" in _reason(run)


def test_the_end_event_is_the_reason(run: RunDir) -> None:
    assert supervise(run, ranks("--non-finite-at", "3")) is Exit.NON_FINITE
    reason = _status(run).reason
    assert reason is not None
    assert (reason.code, reason.text) == ("train.non_finite", "the loss of step 3 is NaN")
    assert reason.params == {"step": 3}


def test_an_end_event_of_an_attempt_before_is_not_the_reason(run: RunDir) -> None:
    with EventWriter(run.events) as events:
        events.end(1, "train.old", "old news")
    supervise(run, ranks("--fail-at", "1"))
    assert "old news" not in _reason(run)


def test_a_killed_rank_is_named_with_its_signal(run: RunDir) -> None:
    assert supervise(run, ranks("--kill-at", "2")) is Exit.TRAINING_FAILED
    assert _reason(run).startswith("rank 0 was killed by signal 9 (SIGKILL)")
    assert "out of memory" in _reason(run) or "out-of-memory" in _reason(run)


def test_another_signal_is_not_blamed_on_memory(run: RunDir) -> None:
    supervise(run, ranks("--kill-at", "2", "--signal", str(int(signal.SIGSEGV))))
    assert _reason(run) == "rank 0 was killed by signal 11 (SIGSEGV)"


def test_a_config_that_does_not_load_fails_the_run(run: RunDir) -> None:
    run.config.write_text("[model]\nidd = 3\n")
    assert supervise(run, ranks()) is Exit.USAGE
    assert _status(run).state == "failed"
    assert "idd" in _reason(run)


def test_a_rank_that_cannot_be_started_fails_the_run(run: RunDir) -> None:
    with pytest.raises(FileNotFoundError):
        supervise(run, lambda *_: (["/nowhere/python"], {}))
    assert (_status(run).state, _status(run).exit_code) == ("failed", 1)
    assert "/nowhere/python" in _reason(run)


def _two_ranks(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the config ask for two devices."""

    def two(path: Path) -> LoadedConfig:
        loaded = load_config(path)
        launch = loaded.config.launch.model_copy(update={"devices": 2})
        config = loaded.config.model_copy(update={"launch": launch})
        return LoadedConfig(config, loaded.document, path)

    monkeypatch.setattr("engine.supervise.load_config", two)


def test_a_failed_rank_ends_the_others_and_is_named(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    _two_ranks(run, monkeypatch)
    fails = ("--endless", "--rank", "1", "--fail-at", "2", "--code", "1", "--say", "CUDA error")
    assert supervise(run, ranks(*fails)) is Exit.TRAINING_FAILED
    assert _reason(run) == "rank 1 ended with exit code 1: CUDA error"
    assert "CUDA error" in run.rank_log(1).read_text()
    assert not is_alive(_pid(run, "rank-0"), None)


def test_a_rank_that_will_not_end_is_killed(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    _two_ranks(run, monkeypatch)
    monkeypatch.setattr("engine.supervise._GRACE_SECONDS", 0.2)
    assert (
        supervise(run, ranks("--deaf", "--endless", "--rank", "1", "--kill-at", "5")) is Exit.TRAINING_FAILED
    )
    assert "rank 1 was killed by signal 9" in _reason(run)
    assert not is_alive(_pid(run, "rank-0"), None)


def test_two_ranks_meet_at_one_place(run: RunDir) -> None:
    from engine.launch.local import rank_command

    argv, environment = rank_command(run, 1, 2, 4711)
    assert str(run.root) in argv
    assert environment == {
        "RANK": "1",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "4711",
    }
    assert rank_command(run, 0, 1)[1] == {}


@pytest.mark.parametrize("number", sorted(STOPPING_SIGNALS))
def test_a_signal_saves_a_checkpoint_and_stops(run: RunDir, start: Start, number: signal.Signals) -> None:
    process = start("--endless")
    until(lambda: _steps(run) > 2)
    process.send_signal(number)
    assert process.wait(30) == Exit.STOPPED
    assert (_status(run).state, _status(run).exit_code) == ("stopped", 5)
    step = _status(run).step
    assert CheckpointIndex(run.checkpoints_dir).newest_verified(lambda *_: None) == step > 2


def test_a_signal_at_the_very_start_stops_before_the_training(run: RunDir, start: Start) -> None:
    process = start("--endless")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == Exit.STOPPED
    assert (_status(run).state, _status(run).exit_code) == ("stopped", 5)


def test_a_second_interrupt_kills_now(run: RunDir, start: Start) -> None:
    process = start("--endless", "--deaf")
    until(lambda: _steps(run) > 2)
    process.send_signal(signal.SIGINT)
    until(lambda: _status(run).state == "stopping")
    process.send_signal(signal.SIGTERM)  # asks again, and does not kill
    steps = _steps(run)
    until(lambda: _steps(run) > steps + 2)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == Exit.INTERRUPTED
    assert (_status(run).state, _status(run).exit_code) == ("stopped", 130)
    assert not is_alive(_pid(run, "rank-0"), None)


def test_a_request_in_the_control_directory_stops_and_an_old_one_does_not(run: RunDir, start: Start) -> None:
    Control(run.control_dir).request_stop()
    process = start("--endless")
    until(lambda: _steps(run) > 2)
    Control(run.control_dir).request_stop()
    assert process.wait(30) == Exit.STOPPED


def test_the_heartbeat_goes_on_and_the_status_shows_the_step(run: RunDir, start: Start) -> None:
    start("--endless", "--steps", "9000")
    until(lambda: run.status_json.exists() and _status(run).step > 0)
    first = _status(run)
    assert (first.state, first.total) == ("running", 9000)
    until(lambda: _status(run).heartbeat > first.heartbeat)
    assert _status(run).heartbeat - first.heartbeat < 2


def test_the_loss_of_the_owner_stops_the_run_with_a_checkpoint(run: RunDir) -> None:
    owner = subprocess.Popen(["/bin/sleep", "600"])
    found = until(lambda: _started(owner.pid))
    argv = supervisor("--endless")(run, found)
    process = subprocess.Popen(argv)
    try:
        until(lambda: _steps(run) > 2)
        owner.kill()
        owner.wait()
        assert process.wait(30) == Exit.STOPPED
        assert CheckpointIndex(run.checkpoints_dir).latest() == _status(run).step
        reason = _status(run).reason
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


def test_a_killed_supervisor_leaves_no_rank(run: RunDir, start: Start) -> None:
    process = start("--endless", "--deaf")
    rank = _pid(run, "rank-0")
    until(lambda: _steps(run) > 0)
    process.kill()
    process.wait()
    until(lambda: not is_alive(rank, None), 5)


def test_what_a_rank_started_ends_with_it(run: RunDir, start: Start) -> None:
    process = start("--child", "--steps", "2")
    assert process.wait(30) == Exit.DONE
    until(lambda: not is_alive(_pid(run, "child"), None), 5)


def test_a_second_supervisor_is_refused_and_does_no_harm(run: RunDir, start: Start) -> None:
    with RunLock(run.lock):
        write_status(run.status_json, Status(state="running", step=3))
        assert start().wait(30) != 0
        with pytest.raises(UsageError, match="another process"):
            supervise(run, ranks())
    assert _status(run) == Status(state="running", step=3)
    assert not run.run_json.exists()


def test_after_a_kill_the_next_attempt_goes_on_from_the_checkpoint(run: RunDir, start: Start) -> None:
    process = start("--endless", "--steps", "9000")
    until(lambda: _steps(run) > 2)
    Control(run.control_dir).request_checkpoint()
    saved = until(lambda: CheckpointIndex(run.checkpoints_dir).latest() or 0)
    until(lambda: _steps(run) > saved + 2)
    process.kill()
    process.wait()
    until(lambda: not is_alive(_pid(run, "rank-0"), None))
    with run.events.open("a") as events:
        events.write('{"v": 1, "type": "st')
    id_before = read_record(run.run_json)
    assert supervise(run, ranks("--steps", str(saved + 4))) is Exit.DONE
    steps = [event["step"] for event in effective_steps(read_events(run.events))]
    assert steps == list(range(1, saved + 5))
    assert all(json.loads(line) for line in run.events.read_text().splitlines())
    record = read_record(run.run_json)
    assert record is not None
    assert id_before is not None
    assert (record.id, record.pid) == (id_before.id, os.getpid())
    assert json.loads(run.summary_json.read_text())["attempts"] == 2


def test_an_error_on_the_command_line_of_the_engine_is_its_text_and_code(
    run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine.__main__ import main

    with RunLock(run.lock):
        assert main(["run", str(run.root)]) is Exit.USAGE
    assert "another process" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["run", "rank"])
def test_the_engine_refuses_what_is_no_run_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    from engine.__main__ import main

    assert main([verb, str(tmp_path)]) is Exit.USAGE
    assert "no run directory" in capsys.readouterr().err
