"""Checkpoints: the latest, the best, those that are pruned, and damage that is found."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.manifest import UnreadableManifestError
from tests.unit.saved_checkpoints import newest_good, save


def test_a_checkpoint_has_a_manifest_of_its_files_and_is_the_latest(tmp_path: Path) -> None:
    index = CheckpointIndex(tmp_path / "checkpoints")
    path = save(index, 20, eval_loss=0.5)
    assert path == tmp_path / "checkpoints" / "step-20"
    manifest = index.manifest(20)
    assert (manifest.step, manifest.epoch, manifest.metrics) == (20, 2.0, {"eval_loss": 0.5})
    assert manifest.files["shards/optimizer.bin"]["bytes"] == 10
    assert index.verify(20) is None
    assert (tmp_path / "checkpoints" / "latest").read_text() == "step-20\n"
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["latest", "step-20"]


def test_without_checkpoints_there_is_nothing_newest_best_or_to_prune(tmp_path: Path) -> None:
    index = CheckpointIndex(tmp_path / "checkpoints")
    index.recover()
    index.prune(keep=1)
    assert (index.steps(), newest_good(index), index.best(), index.latest()) == ([], None, None, None)


def _flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


_DAMAGE: dict[str, Callable[[Path], object]] = {
    "weights flipped": lambda path: _flip(path / "weights.bin", 0),
    "optimizer flipped": lambda path: _flip(path / "shards" / "optimizer.bin", 9),
    "weights truncated": lambda path: os.truncate(path / "weights.bin", 3),
    "weights emptied": lambda path: os.truncate(path / "weights.bin", 0),
    "weights grown": lambda path: (path / "weights.bin").write_bytes(b"weightsweights"),
    "weights missing": lambda path: (path / "weights.bin").unlink(),
    "weights a link": lambda path: os.symlink(
        (path / "weights.bin").replace(path.parent / "w"), path / "weights.bin"
    ),
    "file added": lambda path: (path / "extra.bin").write_bytes(b"x"),
    "manifest missing": lambda path: (path / "manifest.json").unlink(),
    "manifest empty": lambda path: os.truncate(path / "manifest.json", 0),
    "manifest a list": lambda path: (path / "manifest.json").write_text("[]"),
}


@pytest.mark.parametrize("damage", _DAMAGE)
def test_damage_is_found_and_the_checkpoint_before_is_taken(tmp_path: Path, damage: str) -> None:
    index = CheckpointIndex(tmp_path)
    save(index, 1)
    path = save(index, 2)
    _DAMAGE[damage](path)
    bad: dict[int, str] = {}
    assert index.newest_verified(bad.__setitem__) == 1
    assert list(bad) == [2]
    assert str(path) in bad[2]


def test_every_flipped_bit_of_a_manifest_is_found(memory_path: Path) -> None:
    index = CheckpointIndex(memory_path)
    manifest = save(index, 1, eval_loss=0.25) / "manifest.json"
    original = manifest.read_bytes()
    for offset, byte in enumerate(original):
        manifest.write_bytes(original[:offset] + bytes([byte ^ 4]) + original[offset + 1 :])
        assert index.verify(1) is not None or json.loads(manifest.read_bytes()) == json.loads(original)


def test_directories_that_are_no_checkpoints_of_this_run_are_left_alone(tmp_path: Path) -> None:
    index = CheckpointIndex(tmp_path)
    other = CheckpointIndex(tmp_path / "other")
    foreign = save(other, 9)
    save(index, 1)
    for name in ("step-01", "step--3", "step-1x", "checkpoint-7", "step-"):
        (tmp_path / name).mkdir()
    (tmp_path / "step-8").symlink_to(foreign)
    foreign.rename(tmp_path / "step-5")  # its manifest says 9
    (tmp_path / "step-99").mkdir()
    bad: dict[int, str] = {}
    assert index.newest_verified(bad.__setitem__) == 1
    assert set(bad) == {99, 8, 5}
    assert index.steps() == [1, 5]


def test_a_manifest_of_a_later_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = CheckpointIndex(tmp_path)
    monkeypatch.setattr("engine.rundir.manifest.VERSION", 2)
    save(index, 1)
    monkeypatch.undo()
    with pytest.raises(UnreadableManifestError, match="another version"):
        index.manifest(1)


def test_the_best_has_the_smallest_eval_loss_and_metrics_that_are_not_finite_do_not_count(
    tmp_path: Path,
) -> None:
    index = CheckpointIndex(tmp_path)
    for step, loss in ((1, 0.5), (2, 0.25), (3, 0.25), (4, float("nan"))):
        save(index, step, eval_loss=loss)
    save(index, 5)
    assert index.best() == 2
    assert index.latest() == 5


def test_pruning_keeps_the_best_and_the_newest(tmp_path: Path) -> None:
    index = CheckpointIndex(tmp_path)
    for step, loss in ((1, 0.1), (2, 0.5), (3, 0.4), (4, 0.3)):
        save(index, step, eval_loss=loss)
    index.prune(keep=2)
    assert index.steps() == [1, 3, 4]
    index.prune(keep=1)
    assert index.steps() == [1, 4]
    assert sorted(os.listdir(tmp_path)) == ["latest", "step-1", "step-4"]


def test_a_damaged_newest_checkpoint_costs_no_good_one(tmp_path: Path) -> None:
    index = CheckpointIndex(tmp_path)
    for step in (1, 2, 3):
        save(index, step)
    _flip(tmp_path / "step-3" / "weights.bin", 1)
    index.prune(keep=1)
    assert index.steps() == [2, 3]
    _flip(tmp_path / "step-2" / "weights.bin", 1)
    index.prune(keep=1)
    assert index.steps() == [2, 3]


def test_staging_the_same_step_again_starts_empty(tmp_path: Path) -> None:
    index = CheckpointIndex(tmp_path)
    (index.staging(1) / "old").write_bytes(b"x")
    assert list(index.staging(1).iterdir()) == []


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    index = CheckpointIndex(tmp_path)
    save(index, 1, b"bad")
    save(index, 1, b"good")
    assert (tmp_path / "step-1" / "weights.bin").read_bytes() == b"good"
    assert index.verify(1) is None
    assert sorted(os.listdir(tmp_path)) == ["latest", "step-1"]
