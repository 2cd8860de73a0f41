"""Headless, once it runs: what is shown of it, who may leave it, and what a signal does to it."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from dpo_tui.headless import attach, launch
from engine.config.load import load_config
from engine.exits import Exit
from engine.process import is_alive
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.control import Control
from engine.rundir.events import read_events
from engine.rundir.paths import RunDir
from engine.rundir.status import read_record, read_status
from tests.fake_engine import SCRIPT
from tests.unit.headless_runs import STARTED, launch_with, run_of, start_headless, steps_of, wait_for_steps
from tests.waiting import until


def _final(run: RunDir) -> tuple[str, int | None]:
    status = until(lambda: (status := read_status(run.status_json)) and status.final and status)
    assert status
    return status.state, status.exit_code


def test_a_piped_run_is_json_lines_on_stdout_and_talk_on_stderr(
    tiny_config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert launch_with(tiny_config, "--steps", "3") is Exit.DONE
    out, err = capfd.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert events == list(read_events(run_of(tiny_config).events))
    assert [event["step"] for event in events if event["type"] == "step"] == [1, 2, 3]
    assert "tiny is done" in err
    assert str(run_of(tiny_config).root) in err


def test_the_run_directory_is_private_and_its_config_is_complete(tiny_config: Path) -> None:
    launch_with(tiny_config, "--steps", "1", overrides=["train.pairs_per_step=2"])
    run = run_of(tiny_config)
    assert run.root.stat().st_mode & 0o777 == 0o700
    assert run.config.stat().st_mode & 0o777 == 0o600
    own = load_config(run.config).config
    assert (own.run.name, own.run.dir) == ("tiny", str(run.root.parent))
    assert own.train.pairs_per_step == 2
    assert "max_grad_norm" in run.config.read_text()


@pytest.mark.parametrize(
    ("code", "behaviour"), [(7, ["--non-finite-at", "2"]), (6, ["--fail-at", "2", "--code", "6"])]
)
def test_the_exit_code_is_the_runs_and_the_reason_is_on_stderr(
    tiny_config: Path, capfd: pytest.CaptureFixture[str], code: int, behaviour: list[str]
) -> None:
    assert launch_with(tiny_config, *behaviour, "--say", "disk of \x1b]52;c;doom\x07") == code
    err = capfd.readouterr().err
    assert "tiny failed" in err
    assert "\x1b" not in err
    assert ("NaN" if code == 7 else "doom") in err


def test_a_supervisor_that_dies_is_a_failure_with_a_way_on(tiny_config: Path) -> None:
    process = start_headless(tiny_config, "--endless")
    run = run_of(tiny_config)
    rank = wait_for_steps(run)
    record = read_record(run.run_json)
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "supervisor" in err
    assert "SIGKILL" in err
    until(lambda: not is_alive(rank, None))


def test_a_supervisor_that_cannot_start_is_its_own_words(
    tiny_config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = launch(tiny_config, supervisor=lambda *_: ["/bin/sh", "-c", "echo no torch >&2; exit 8"])
    assert code is Exit.ENVIRONMENT
    assert "no torch" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_run_with_a_checkpoint(tiny_config: Path, number: signal.Signals) -> None:
    process = start_headless(tiny_config, "--endless")
    rank = wait_for_steps(run_of(tiny_config))
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == Exit.STOPPED
    assert json.loads(out.splitlines()[-1])["type"] == "end"
    assert "stopping" in err
    assert "--resume" in err
    assert not is_alive(rank, None)
    assert CheckpointIndex(run_of(tiny_config).checkpoints_dir).latest() is not None


def test_a_second_interrupt_kills_the_run_now(tiny_config: Path) -> None:
    process = start_headless(tiny_config, "--endless", "--deaf")
    run = run_of(tiny_config)
    rank = wait_for_steps(run)
    process.send_signal(signal.SIGINT)
    until(lambda: (status := read_status(run.status_json)) and status.state == "stopping")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == Exit.INTERRUPTED
    assert not is_alive(rank, None)


def test_a_killed_owner_stops_the_run_with_a_checkpoint(tiny_config: Path) -> None:
    process = start_headless(tiny_config, "--endless")
    run = run_of(tiny_config)
    rank = wait_for_steps(run)
    process.kill()
    process.wait()
    assert _final(run) == ("stopped", Exit.STOPPED)
    assert not is_alive(rank, None)
    assert CheckpointIndex(run.checkpoints_dir).newest_verified(lambda *_: None) is not None


def test_under_nohup_a_hangup_is_nothing(tiny_config: Path) -> None:
    process = subprocess.Popen(
        ["nohup", *SCRIPT, "headless", str(tiny_config), "--endless"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    STARTED.append(process)
    steps = wait_for_steps(run_of(tiny_config)) and steps_of(run_of(tiny_config))
    process.send_signal(signal.SIGHUP)
    until(lambda: steps_of(run_of(tiny_config)) > steps + 5)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == Exit.STOPPED


def test_a_reader_that_goes_away_does_not_end_the_training(tiny_config: Path) -> None:
    reading, writing = os.pipe()
    process = start_headless(tiny_config, "--steps", "60", stdout=writing)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    process.communicate(timeout=30)
    assert process.returncode == Exit.DONE
    assert steps_of(run_of(tiny_config)) == 60


def test_a_detached_run_prints_its_name_and_goes_on(tiny_config: Path) -> None:
    process = start_headless(tiny_config, "--detach", "--endless")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "tiny\n")
    assert "attach" in err
    run = run_of(tiny_config)
    steps = wait_for_steps(run) and steps_of(run)
    until(lambda: steps_of(run) > steps)
    Control(run.control_dir).request_stop()
    assert _final(run) == ("stopped", Exit.STOPPED)


def test_attaching_shows_the_run_from_its_start_to_its_end(
    tiny_config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    start_headless(tiny_config, "--detach", "--steps", "100").wait(30)
    run = run_of(tiny_config)
    until(lambda: steps_of(run) > 2)
    assert attach(run.root) is Exit.DONE
    out, err = capfd.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["step"] for event in events if event["type"] == "step"] == list(range(1, 101))
    assert "tiny is done" in err


def test_attaching_to_a_finished_run_gives_its_exit_code(
    tiny_config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    launch_with(tiny_config, "--non-finite-at", "2")
    capfd.readouterr()
    for asked in (False, True):
        assert attach(run_of(tiny_config).root, json=asked) is Exit.NON_FINITE
        out, err = capfd.readouterr()
        assert "NaN" in err
        assert [json.loads(line) for line in out.splitlines()] == list(
            read_events(run_of(tiny_config).events)
        )


def test_leaving_an_attached_run_leaves_it_alone(
    tiny_config: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start_headless(tiny_config, "--detach", "--endless").wait(30)
    run = run_of(tiny_config)
    wait_for_steps(run)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dpo_tui.headless.time.sleep", interrupt)
        assert attach(run.root) is Exit.INTERRUPTED
    assert "come back with: dpo-tui attach" in capfd.readouterr().err
    steps = steps_of(run)
    until(lambda: steps_of(run) > steps)
