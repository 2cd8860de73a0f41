"""A disk that fills up or turns read-only under a run that trains: exit code 6, and what goes on loses nothing."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import torch

from engine.exits import Exit
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.paths import RunDir
from engine.rundir.status import read_status
from tests.bad_input.command import leftovers
from tests.cluster.conftest import Mount, call, fill, ranks_of, remount, start, trained_a_step, write_config
from tests.engine.runs import final_weights
from tests.waiting import until

STEPS = ["--set", "train.max_steps=150", "--set", "export.enabled=false"]


def test_a_run_whose_disk_was_full_and_then_grew_ends_with_the_weights_of_one_that_never_was(
    tmp_path: Path, mount: Mount, model: Path, pairs: Path
) -> None:
    config = write_config(tmp_path, tmp_path / "whole", model, pairs)
    assert call("--headless", config, *STEPS).returncode == Exit.DONE
    disk = mount("disk", "16m")
    config = write_config(tmp_path, disk, model, pairs)
    run = RunDir(disk / "tiny")

    process = start("--headless", config, *STEPS)
    reached = held_after_a_checkpoint(run, lambda: fill(disk))
    _, err = process.communicate(timeout=90)
    assert process.returncode == Exit.CANNOT_WRITE, err
    assert f"{run.root}/" in err
    assert "no space left on the disk; free some and resume" in err
    assert f"resume:  dpo-tui --headless {run.config} --resume" in err
    assert "Traceback" not in err + run.train_log.read_text()
    status = read_status(run.status_json)
    assert status is not None
    assert (status.state, status.exit_code) == ("failed", Exit.CANNOT_WRITE)
    assert leftovers(run) == []

    remount(disk, "size=32m")
    resumed = call("--headless", config, *STEPS, "--resume")
    assert resumed.returncode == Exit.DONE, resumed.stderr
    assert CheckpointIndex(run.checkpoints_dir).latest() == 150 > reached
    whole, filled = final_weights(RunDir(tmp_path / "whole" / "tiny")), final_weights(run)
    assert all(torch.equal(whole[name], filled[name]) for name in whole)


def test_a_disk_that_turns_read_only_ends_the_run_and_keeps_its_checkpoints(
    tmp_path: Path, mount: Mount, model: Path, pairs: Path
) -> None:
    disk = mount("disk", "64m")
    config = write_config(tmp_path, disk, model, pairs)
    run = RunDir(disk / "tiny")
    process = start("--headless", config, *STEPS)
    reached = held_after_a_checkpoint(run, lambda: cover_read_only(disk))
    _, err = process.communicate(timeout=90)
    assert process.returncode == Exit.CANNOT_WRITE, err
    assert f"{run.root}/" in err
    assert "the file system is read-only" in err
    assert "Traceback" not in err
    subprocess.run(["umount", str(disk)], check=True)
    assert CheckpointIndex(run.checkpoints_dir).latest() == reached

    resumed = call("--headless", config, *STEPS, "--resume")
    assert resumed.returncode == Exit.DONE, resumed.stderr


def held_after_a_checkpoint(run: RunDir, happen: Callable[[], object]) -> int:
    """Let something happen while the rank stands still, after its first checkpoint; returns that one's step."""
    index = CheckpointIndex(run.checkpoints_dir)
    trained_a_step(run)
    until(index.latest)
    (rank,) = ranks_of(run)
    os.kill(rank, signal.SIGSTOP)
    happen()
    reached = index.latest()
    os.kill(rank, signal.SIGCONT)
    assert reached is not None
    assert reached < 150
    return reached


def cover_read_only(disk: Path) -> None:
    """Whoever opens a file from now on finds the disk read-only; what is open for writing stays so, as with a disk
    that fails.
    """
    subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)
