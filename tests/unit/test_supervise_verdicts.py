"""The supervisor's verdict: exit codes and reasons of ranks that end, and no rank left behind."""

import json
import os
import signal
from pathlib import Path

import pytest

from engine.config.load import LoadedConfig, load_config
from engine.exits import CannotWriteError, Exit
from engine.launch.local import STOPPING_SIGNALS
from engine.process import ProcessId, is_alive
from engine.rundir.control import Control
from engine.rundir.events import EventWriter
from engine.rundir.lock import RunLock
from engine.rundir.paths import RunDir
from engine.rundir.status import read_record
from engine.supervise import supervise
from tests.fake_engine import ranks
from tests.unit.supervised_runs import pid_of, status_of


def _reason(run: RunDir) -> str:
    reason = status_of(run).reason
    assert reason is not None
    return reason.text


def test_a_training_that_ends_is_done_with_a_summary(tiny_run: RunDir) -> None:
    assert supervise(tiny_run, ranks("--steps", "4")) is Exit.DONE
    status = status_of(tiny_run)
    assert (status.state, status.exit_code, status.step, status.total) == ("done", 0, 4, 4)
    summary = json.loads(tiny_run.summary_json.read_text())
    assert (summary["state"], summary["exit_code"], summary["steps"]) == ("done", 0, 4)
    assert summary["train"]["loss"] == 0.25
    assert summary["eval"]["best"] == {"step": 4, "loss": 0.25}
    assert summary["checkpoints"]["latest"]["path"] == "checkpoints/step-4"
    assert summary["durations"]["phases"]["train"] > 0
    assert summary["export"] == str(tiny_run.export_dir)
    assert "python" in summary["versions"]
    record = read_record(tiny_run.run_json)
    assert record is not None
    assert record.supervisor == ProcessId.own()


def test_handlers_of_the_caller_come_back(tiny_run: RunDir) -> None:
    before = [signal.getsignal(number) for number in STOPPING_SIGNALS]
    supervise(tiny_run, ranks("--steps", "1"))
    assert [signal.getsignal(number) for number in STOPPING_SIGNALS] == before


@pytest.mark.parametrize("code", [1, 3, 6, 8])
def test_the_exit_code_of_a_failed_rank_is_that_of_the_run_and_its_last_words_are_the_reason(
    tiny_run: RunDir, code: int
) -> None:
    assert (
        supervise(tiny_run, ranks("--fail-at", "2", "--code", str(code), "--say", "x.jsonl:3: bad")) == code
    )
    assert (status_of(tiny_run).state, status_of(tiny_run).exit_code) == ("failed", code)
    assert "rank 0" in _reason(tiny_run)
    assert "x.jsonl:3: bad" in _reason(tiny_run)


def test_an_exit_code_without_a_meaning_is_a_failed_training(tiny_run: RunDir) -> None:
    assert supervise(tiny_run, ranks("--fail-at", "1", "--code", "77")) is Exit.TRAINING_FAILED
    assert "77" in _reason(tiny_run)


def test_the_end_event_is_the_reason(tiny_run: RunDir) -> None:
    assert supervise(tiny_run, ranks("--non-finite-at", "3")) is Exit.NON_FINITE
    reason = status_of(tiny_run).reason
    assert reason is not None
    assert (reason.code, reason.text) == ("train.non_finite", "the loss of step 3 is NaN")
    assert reason.params == {"step": 3}


def test_an_end_event_of_an_attempt_before_is_not_the_reason(tiny_run: RunDir) -> None:
    with EventWriter(tiny_run.events) as events:
        events.end(1, "train.old", "old news")
    supervise(tiny_run, ranks("--fail-at", "1"))
    assert "old news" not in _reason(tiny_run)


def test_a_killed_rank_is_named_with_its_signal(tiny_run: RunDir) -> None:
    assert supervise(tiny_run, ranks("--kill-at", "2")) is Exit.TRAINING_FAILED
    assert _reason(tiny_run).startswith("rank 0 was killed by signal 9 (SIGKILL)")
    assert "out of memory" in _reason(tiny_run) or "out-of-memory" in _reason(tiny_run)


def test_another_signal_is_not_blamed_on_memory(tiny_run: RunDir) -> None:
    supervise(tiny_run, ranks("--kill-at", "2", "--signal", str(int(signal.SIGSEGV))))
    assert _reason(tiny_run) == "rank 0 was killed by signal 11 (SIGSEGV)"


def test_a_config_that_does_not_load_fails_the_run(tiny_run: RunDir) -> None:
    tiny_run.config.write_text("[model]\nidd = 3\n")
    assert supervise(tiny_run, ranks()) is Exit.USAGE
    assert status_of(tiny_run).state == "failed"
    assert "idd" in _reason(tiny_run)


def test_a_rank_that_cannot_be_started_fails_the_run(tiny_run: RunDir) -> None:
    with pytest.raises(FileNotFoundError):
        supervise(tiny_run, lambda *_: (["/nowhere/python"], {}))
    assert (status_of(tiny_run).state, status_of(tiny_run).exit_code) == ("failed", 1)
    assert "/nowhere/python" in _reason(tiny_run)


def _two_ranks(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the config ask for two devices."""

    def two(path: Path) -> LoadedConfig:
        loaded = load_config(path)
        launch = loaded.config.launch.model_copy(update={"devices": 2})
        config = loaded.config.model_copy(update={"launch": launch})
        return LoadedConfig(config, loaded.document, path)

    monkeypatch.setattr("engine.supervise.load_config", two)


def test_a_failed_rank_ends_the_others_and_is_named(
    tiny_run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    _two_ranks(tiny_run, monkeypatch)
    fails = ("--endless", "--rank", "1", "--fail-at", "2", "--code", "1", "--say", "CUDA error")
    assert supervise(tiny_run, ranks(*fails)) is Exit.TRAINING_FAILED
    assert _reason(tiny_run) == "rank 1 ended with exit code 1: CUDA error"
    assert "CUDA error" in tiny_run.rank_log(1).read_text()
    assert not is_alive(pid_of(tiny_run, "rank-0"), None)


def test_rank_0_tells_of_a_stop_though_another_rank_stopped_first(
    tiny_run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It saves while the others have nothing left to do."""
    _two_ranks(tiny_run, monkeypatch)
    waiting = ranks("--endless", "--last")

    def asked(run: RunDir, rank: int, world: int, port: int) -> tuple[list[str], dict[str, str]]:
        Control(run.control_dir).request_stop()
        return waiting(run, rank, world, port)

    assert supervise(tiny_run, asked) is Exit.STOPPED
    assert _reason(tiny_run) == "stopped at step 1"


def test_rank_0_is_let_save_what_came_before_a_nan_that_another_rank_ended_with(
    tiny_run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    _two_ranks(tiny_run, monkeypatch)
    nan = ("--rank", "1", "--fail-at", "2", "--code", "7", "--non-finite-at", "3", "--last")
    assert supervise(tiny_run, ranks(*nan)) is Exit.NON_FINITE
    assert _reason(tiny_run) == "the loss of step 3 is NaN"


def test_a_rank_that_will_not_end_is_killed(tiny_run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    _two_ranks(tiny_run, monkeypatch)
    monkeypatch.setattr("engine.supervise._GRACE_SECONDS", 0.2)
    assert (
        supervise(tiny_run, ranks("--deaf", "--endless", "--rank", "1", "--kill-at", "5"))
        is Exit.TRAINING_FAILED
    )
    assert "rank 1 was killed by signal 9" in _reason(tiny_run)
    assert not is_alive(pid_of(tiny_run, "rank-0"), None)


def test_a_stop_that_the_disk_refuses_ends_the_run_and_names_the_disk(
    tiny_run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = ranks("--endless")

    def refuse(control: Control) -> None:
        raise CannotWriteError("disk.read_only", "control/stop: read-only file system")

    def stopped(run: RunDir, rank: int, world: int, port: int) -> tuple[list[str], dict[str, str]]:
        os.kill(os.getpid(), signal.SIGTERM)
        return endless(run, rank, world, port)

    monkeypatch.setattr(Control, "pass_on_stop", refuse)
    assert supervise(tiny_run, stopped) is Exit.CANNOT_WRITE
    assert _reason(tiny_run) == "control/stop: read-only file system"


def test_two_ranks_meet_at_one_place(tiny_run: RunDir) -> None:
    from engine.launch.local import rank_command

    argv, environment = rank_command(tiny_run, 1, 2, 4711)
    assert str(tiny_run.root) in argv
    assert environment == {
        "RANK": "1",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "4711",
    }
    assert rank_command(tiny_run, 0, 1)[1] == {}


def test_an_error_on_the_command_line_of_the_engine_is_its_text_and_code(
    tiny_run: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine.__main__ import main

    with RunLock(tiny_run.lock):
        assert main(["run", str(tiny_run.root)]) is Exit.USAGE
    assert "another process" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["run", "rank"])
def test_the_engine_refuses_what_is_no_run_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    from engine.__main__ import main

    assert main([verb, str(tmp_path)]) is Exit.USAGE
    assert "no run directory" in capsys.readouterr().err
