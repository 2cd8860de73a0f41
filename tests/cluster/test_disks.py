"""Disks that are full, too small, read-only or somebody else's: one line, exit code 6, and nothing lost."""

import json
import os
import subprocess
from pathlib import Path

from engine.exits import Exit
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import read_events
from engine.rundir.paths import RunDir
from tests.cluster.conftest import Mount, call, command, fill, remount, start, trained_a_step, write_config
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
    assert (status["state"], status["exit_code"]) == ("failed", Exit.CANNOT_WRITE)

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


def test_a_run_on_a_disk_that_has_become_read_only_is_left_as_it_is(
    tmp_path: Path, mount: Mount, model: Path, pairs: Path
) -> None:
    disk = mount("disk", "64m")
    config = write_config(tmp_path, disk, model, pairs)
    trained = call("--headless", config, "--set", "train.max_steps=2", "--set", "export.enabled=false")
    assert trained.returncode == Exit.DONE, trained.stderr
    before = {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()}
    remount(disk, "ro")
    said(call("export", disk / "tiny"), "read-only")
    assert call("export", disk / "tiny", "--to", tmp_path / "model").returncode == Exit.DONE
    assert {path: path.read_bytes() for path in disk.rglob("*") if path.is_file()} == before


def test_a_read_only_disk_is_refused_before_anything_is_loaded(
    tmp_path: Path, mount: Mount, model: Path, pairs: Path
) -> None:
    disk = mount("disk", "1m")
    remount(disk, "ro")
    said(call("--headless", write_config(tmp_path, disk, model, pairs)), str(disk / "tiny"), "read-only")


def test_a_directory_of_somebody_else_is_refused(tmp_path: Path, model: Path, pairs: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    os.chown(runs, NOBODY, NOBODY)
    without = ["setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]  # as anybody is
    words = command("--headless", write_config(tmp_path, runs, model, pairs))
    said(
        subprocess.run([*without, *words], text=True, capture_output=True),
        str(runs / "tiny"),
        "permission denied",
    )
    assert list(runs.iterdir()) == []


def test_a_quota_of_files_is_a_full_disk(tmp_path: Path, mount: Mount, model: Path, pairs: Path) -> None:
    disk = mount("disk", "64m,nr_inodes=12")
    said(call("--headless", write_config(tmp_path, disk, model, pairs)), "no space left on the disk")


def test_too_little_room_for_checkpoints_is_said_before_the_first_step(
    tmp_path: Path, mount: Mount, model: Path, pairs: Path
) -> None:
    disk = mount("disk", "2m")
    fill(disk)
    remount(disk, "size=3m")
    done = call("--headless", write_config(tmp_path, disk, model, pairs))
    said(done, "1.0 MiB free", "more needed for checkpoints", "set train.keep lower")
    assert not [event for event in read_events(RunDir(disk / "tiny").events) if event["type"] == "step"]
