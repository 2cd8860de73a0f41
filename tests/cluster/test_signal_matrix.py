"""Every signal to the command, the supervisor or rank 0, of one process or two: how the run ends, and that all end."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from engine.exits import Exit
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.paths import RunDir
from engine.rundir.status import read_record
from tests.cluster.conftest import call, children, processes, start, trained_a_step, write_config
from tests.waiting import until

WORLDS = {1: (), 2: ("--set", "launch.devices=2")}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
GRACE = 30.0
"""Seconds until all have ended: a step, a checkpoint, and ten seconds for a rank that does not react."""


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


@pytest.fixture
def started(tmp_path: Path, model: Path, pairs: Path, world: int) -> tuple[RunDir, "subprocess.Popen[str]"]:
    """A run that trains and has a checkpoint, and the command that follows it."""
    run = RunDir(tmp_path / "runs" / "tiny")
    config = write_config(tmp_path, tmp_path / "runs", model, pairs)
    command = start("--headless", config, "--set", "train.max_steps=4000", *WORLDS[world])
    trained_a_step(run)
    until(lambda: CheckpointIndex(run.checkpoints_dir).latest(), 90)
    return run, command


def supervisor_of(run: RunDir) -> int:
    record = read_record(run.run_json)
    assert record is not None
    return record.pid


def rank_0_of(run: RunDir, world: int) -> int:
    """The process of rank 0, out of as many as there should be."""
    ranks = children(supervisor_of(run))
    assert len(ranks) == world
    first = [pid for pid in ranks if b"RANK=0" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")]
    return first[0] if world > 1 else ranks[0]


@pytest.mark.parametrize("number", SIGNALS)
def test_to_the_command(
    number: signal.Signals, started: tuple[RunDir, "subprocess.Popen[str]"], world: int
) -> None:
    """It owns the run: whichever way it goes, the run ends with a checkpoint."""
    run, command = started
    reached = CheckpointIndex(run.checkpoints_dir).latest() or 0
    command.send_signal(number)
    code = command.wait(GRACE)
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else Exit.STOPPED)
    require_end(run, "stopped")
    assert (CheckpointIndex(run.checkpoints_dir).latest() or 0) > reached, world


@pytest.mark.parametrize("number", SIGNALS)
def test_to_the_supervisor(
    number: signal.Signals, started: tuple[RunDir, "subprocess.Popen[str]"], world: int
) -> None:
    """It stops as asked; killed, it takes the ranks with it, and the run counts as failed."""
    run, command = started
    os.kill(supervisor_of(run), number)
    code = command.wait(GRACE)
    assert code == (Exit.TRAINING_FAILED if number == signal.SIGKILL else Exit.STOPPED), world
    require_end(run, "failed" if number == signal.SIGKILL else "stopped")


@pytest.mark.parametrize("number", SIGNALS)
def test_to_rank_0(
    number: signal.Signals, started: tuple[RunDir, "subprocess.Popen[str]"], world: int
) -> None:
    """Nobody asked the run for anything: it has failed, and says which rank and by what."""
    run, command = started
    os.kill(rank_0_of(run, world), number)
    _, said = command.communicate(timeout=GRACE)
    assert command.returncode == (Exit.INTERRUPTED if number == signal.SIGINT else Exit.TRAINING_FAILED)
    assert "rank 0" in said
    assert number == signal.SIGINT or f"signal {int(number)} ({number.name})" in said
    require_end(run, "stopped" if number == signal.SIGINT else "failed")


def require_end(run: RunDir, state: str) -> None:
    """No process is left, and the list of runs says how it ended."""
    until(lambda: not processes(run.root), GRACE)
    assert state in call("runs", "--runs", run.root.parent).stdout
