"""Signals and strays: whoever is killed, no process is left behind, and what was trained goes on."""

import os
import signal
from pathlib import Path

import pytest

from engine.exits import Exit
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.paths import RunDir
from engine.rundir.status import read_record, read_status
from tests.cluster.conftest import call, children, processes, start, start_group, trained_a_step, write_config
from tests.waiting import until

LONG = "train.max_steps=4000"


@pytest.fixture
def config(tmp_path: Path, model: Path, pairs: Path) -> Path:
    return write_config(tmp_path, tmp_path / "runs", model, pairs)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "runs" / "tiny")


def supervisor_of(run: RunDir) -> int:
    record = read_record(run.run_json)
    assert record is not None
    return record.pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_command_saves_a_checkpoint(
    config: Path, run: RunDir, number: signal.Signals
) -> None:
    process = start("--headless", config, "--set", LONG)
    trained_a_step(run)
    process.send_signal(number)
    assert process.wait(90) == Exit.STOPPED
    assert CheckpointIndex(run.checkpoints_dir).latest()
    until(lambda: not processes(run.root))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_of_a_terminal_s_group_saves_a_checkpoint(
    config: Path, run: RunDir, number: signal.Signals
) -> None:
    process = start_group("--headless", config, "--set", LONG)
    trained_a_step(run)
    os.killpg(process.pid, number)
    assert process.wait(90) == Exit.STOPPED
    assert CheckpointIndex(run.checkpoints_dir).latest()
    until(lambda: not processes(run.root))


def test_quit_ends_the_command_at_once_and_its_run_after_a_checkpoint(config: Path, run: RunDir) -> None:
    process = start_group("--headless", config, "--set", LONG)
    trained_a_step(run)
    os.killpg(process.pid, signal.SIGQUIT)
    assert process.wait(90) == -signal.SIGQUIT
    until(lambda: not processes(run.root), 90)
    status = read_status(run.status_json)
    assert status is not None
    assert (status.state, status.exit_code) == ("stopped", Exit.STOPPED)
    assert status.reason is not None
    assert "the terminal or job that started it is gone" in status.reason.text
    assert CheckpointIndex(run.checkpoints_dir).latest()


def test_a_killed_rank_is_named_and_the_run_goes_on_from_its_checkpoint(config: Path, run: RunDir) -> None:
    process = start("--headless", config, "--set", LONG)
    trained_a_step(run)
    index = CheckpointIndex(run.checkpoints_dir)
    reached = until(lambda: index.latest())
    (rank,) = children(supervisor_of(run))
    os.kill(rank, signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    assert process.returncode == Exit.TRAINING_FAILED
    assert "rank 0 was killed by signal 9 (SIGKILL), probably out of memory" in err
    assert processes(run.root) == []
    resumed = start("--headless", config, "--set", LONG, "--resume")
    until(lambda: (index.latest() or 0) > (reached or 0), 90)
    resumed.send_signal(signal.SIGTERM)
    assert resumed.wait(90) == Exit.STOPPED


def test_a_killed_command_stops_its_run_after_a_checkpoint(config: Path, run: RunDir) -> None:
    process = start("--headless", config, "--set", LONG)
    trained_a_step(run)
    process.kill()
    process.wait()
    until(lambda: not processes(run.root), 90)
    status = read_status(run.status_json)
    assert status is not None
    assert status.state == "stopped"
    assert CheckpointIndex(run.checkpoints_dir).latest()


def test_a_detached_run_survives_whoever_started_it(config: Path, run: RunDir) -> None:
    started = call("--headless", config, "--set", LONG, "--detach", start_new_session=True)
    assert started.returncode == Exit.DONE, started.stderr
    trained_a_step(run)
    assert os.getsid(supervisor_of(run)) == supervisor_of(run)
    assert call("stop", run.root).returncode == Exit.DONE
    until(lambda: not processes(run.root), 90)


def test_no_rank_outlives_a_killed_supervisor_and_the_run_goes_on(config: Path, run: RunDir) -> None:
    assert call("--headless", config, "--set", LONG, "--detach").returncode == Exit.DONE
    trained_a_step(run)
    index = CheckpointIndex(run.checkpoints_dir)
    until(lambda: index.latest())
    os.kill(supervisor_of(run), signal.SIGKILL)
    until(lambda: not processes(run.root))
    reached = index.latest()
    assert reached is not None
    assert "failed" in call("runs", "--runs", run.root.parent).stdout
    resumed = start("--headless", config, "--set", LONG, "--resume")
    until(lambda: (index.latest() or 0) > reached, 90)
    resumed.send_signal(signal.SIGINT)
    assert resumed.wait(90) == Exit.STOPPED
