"""Disks that are full, too small, read-only or somebody else's: one line, exit code 6, and nothing lost."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

from engine.exits import Exit
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.paths import RunDir
from tests.cluster.conftest import Mount, call, fill, remount, start, trained_a_step, write_config
from tests.engine.runs import final_weights
from tests.waiting import until

LONG = "train.max_steps=4000"
NOBODY = 65534


def said(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """The command ended for want of a disk, and said so in words."""
    assert done.returncode == Exit.CANNOT_WRITE, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def test_a_disk_that_fills_in_the_middle_ends_the_run_and_freed_it_goes_on(
    tmp_path: Path, mount: Mount, model: Path, pairs: Path
) -> None:
    disk = mount("disk", "64m")
    config = write_config(tmp_path, disk, model, pairs)
    run = RunDir(disk / "tiny")
    process = start("--headless", config, "--set", LONG)
    trained_a_step(run)
    index = CheckpointIndex(run.checkpoints_dir)
    until(lambda: index.latest())
    ballast = fill(disk)
    _, err = process.communicate(timeout=90)
    assert process.returncode == Exit.CANNOT_WRITE, err
    assert "no space left on the disk" in err
    reached = index.latest()
    assert reached is not None
    ballast.unlink()
    status = json.loads(run.status_json.read_text())
    assert (status["state"], status["exit_code"]) in (("failed", Exit.CANNOT_WRITE), ("running", None))

    resumed = start("--headless", config, "--set", LONG, "--resume")
    until(lambda: (index.latest() or 0) > reached, 90)
    assert call("stop", run.root).returncode == Exit.DONE
    assert resumed.wait(90) == Exit.STOPPED


def test_a_disk_too_small_for_the_data_leaves_no_half_set(
    tmp_path: Path, mount: Mount, model: Path, pairs: Path
) -> None:
    disk = mount("disk", "40k")
    done = call("--headless", write_config(tmp_path, disk, model, pairs))
    said(done, "no space left on the disk")
    assert not [path for path in disk.rglob("*") if path.name in ("report.json", "collected.arrow")]


def test_an_export_onto_a_full_disk_leaves_nothing_and_fits_elsewhere(
    tmp_path: Path, mount: Mount, model: Path, pairs: Path
) -> None:
    config = write_config(tmp_path, tmp_path / "runs", model, pairs)
    trained = call("--headless", config, "--set", "train.max_steps=2", "--set", "export.enabled=false")
    assert trained.returncode == Exit.DONE, trained.stderr
    disk = mount("disk", "100k")
    said(
        call("export", tmp_path / "runs" / "tiny", "--to", disk / "model"),
        str(disk / "model"),
        "no space left",
    )
    assert list(disk.iterdir()) == []
    remount(disk, "size=64m")
    done = call("export", tmp_path / "runs" / "tiny", "--to", disk / "model", "--verify")
    assert done.returncode == Exit.DONE, done.stderr
    assert "bit for bit" in done.stderr


def test_a_disk_that_turns_read_only_ends_the_run_and_keeps_its_checkpoints(
    tmp_path: Path, mount: Mount, model: Path, pairs: Path
) -> None:
    disk = mount("disk", "64m")
    config = write_config(tmp_path, disk, model, pairs)
    run = RunDir(disk / "tiny")
    process = start("--headless", config, "--set", LONG)
    trained_a_step(run)
    index = CheckpointIndex(run.checkpoints_dir)
    until(lambda: index.latest())
    remount_busy(disk)
    _, err = process.communicate(timeout=90)
    assert process.returncode == Exit.CANNOT_WRITE, err
    assert "read-only" in err
    assert final_weights(run)


def remount_busy(disk: Path) -> None:
    """Read-only, in the moment in which nobody has a file of it open for writing: as a failing disk does to itself."""

    def tried() -> bool:
        done = subprocess.run(["mount", "-o", "remount,ro,bind", str(disk)], capture_output=True)
        return done.returncode == 0

    until(tried)


def test_a_read_only_disk_is_refused_before_anything_is_loaded(
    tmp_path: Path, mount: Mount, model: Path, pairs: Path
) -> None:
    disk = mount("disk", "1m")
    remount(disk, "ro")
    said(call("--headless", write_config(tmp_path, disk, model, pairs)), str(disk / "tiny"), "read-only")


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path, model: Path, pairs: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir(mode=0o755)
    config = write_config(tmp_path, runs, model, pairs)
    for folder in (tmp_path, *tmp_path.parents[:3], model.parent, pairs.parent):
        folder.chmod(folder.stat().st_mode | 0o055)
    probe = subprocess.run(["true"], user=NOBODY, group=NOBODY, extra_groups=[])
    readable = call("--version", user=NOBODY, group=NOBODY, extra_groups=[])
    if probe.returncode or readable.returncode:
        pytest.skip("another user cannot read this Python: the checkout lies in a private directory")
    said(
        call("--headless", config, user=NOBODY, group=NOBODY, extra_groups=[]),
        str(runs / "tiny"),
        "permission denied",
    )
    assert list(runs.iterdir()) == []


def test_a_quota_of_files_is_a_full_disk(tmp_path: Path, mount: Mount, model: Path, pairs: Path) -> None:
    disk = mount("disk", "64m,nr_inodes=12")
    said(call("--headless", write_config(tmp_path, disk, model, pairs)), "no space left on the disk")


def test_what_was_trained_on_a_small_disk_is_what_is_trained_on_a_large_one(
    tmp_path: Path, mount: Mount, model: Path, pairs: Path
) -> None:
    disk = mount("disk", "64m")
    config = write_config(tmp_path, disk, model, pairs)
    filled, whole = RunDir(disk / "tiny"), RunDir(tmp_path / "whole" / "tiny")
    assert call("--headless", config, "--runs", tmp_path / "whole").returncode == Exit.DONE
    ballast = fill(disk)
    remount(disk, "size=65m")
    said(call("--headless", config), "no space left")
    ballast.unlink()
    again = ["--resume"] if CheckpointIndex(filled.checkpoints_dir).latest() else ["--run", "again"]
    done = call("--headless", config, *again)
    assert done.returncode == Exit.DONE, done.stderr
    first = final_weights(whole)
    second = final_weights(filled if again == ["--resume"] else RunDir(disk / "again"))
    assert all(torch.equal(first[name], second[name]) for name in first)
