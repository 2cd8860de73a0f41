"""Checkpoints are complete and verified, or not there: after a kill or a full disk at any file operation."""

import errno
import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.exits import CannotWriteError
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.manifest import UnreadableManifestError

_OPERATIONS = ("open", "write", "fsync", "rename", "replace", "mkdir", "rmdir", "unlink")


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A directory in memory, where flushing costs nothing."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as path:
        yield Path(path)


def _save(index: CheckpointIndex, step: int, content: bytes = b"weights", **metrics: float) -> Path:
    staging = index.staging(step)
    with index.writing(step):
        descriptor = os.open(staging / "weights.bin", os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, content)
        os.close(descriptor)
        (staging / "shards").mkdir()
        (staging / "shards" / "optimizer.bin").write_bytes(b"o" * 10)
    return index.commit(
        step,
        epoch=step / 10,
        metrics=metrics,
        config_digest="c",
        data_digest="d",
        model_digest="m",
        world_size=1,
        versions={"torch": "2"},
    )


def _good(index: CheckpointIndex) -> int | None:
    return index.newest_verified(lambda *_: None)


def test_a_checkpoint_has_a_manifest_of_its_files_and_is_the_latest(tmp_path: Path) -> None:
    index = CheckpointIndex(tmp_path / "checkpoints")
    path = _save(index, 20, eval_loss=0.5)
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
    assert (index.steps(), _good(index), index.best(), index.latest()) == ([], None, None, None)


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
    _save(index, 1)
    path = _save(index, 2)
    _DAMAGE[damage](path)
    bad: dict[int, str] = {}
    assert index.newest_verified(bad.__setitem__) == 1
    assert list(bad) == [2]
    assert str(path) in bad[2]


def test_every_flipped_bit_of_a_manifest_is_found(memory_path: Path) -> None:
    index = CheckpointIndex(memory_path)
    manifest = _save(index, 1, eval_loss=0.25) / "manifest.json"
    original = manifest.read_bytes()
    for offset, byte in enumerate(original):
        manifest.write_bytes(original[:offset] + bytes([byte ^ 4]) + original[offset + 1 :])
        assert index.verify(1) is not None or json.loads(manifest.read_bytes()) == json.loads(original)


def test_directories_that_are_no_checkpoints_of_this_run_are_left_alone(tmp_path: Path) -> None:
    index = CheckpointIndex(tmp_path)
    other = CheckpointIndex(tmp_path / "other")
    foreign = _save(other, 9)
    _save(index, 1)
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
    _save(index, 1)
    monkeypatch.undo()
    with pytest.raises(UnreadableManifestError, match="another version"):
        index.manifest(1)


def test_the_best_has_the_smallest_eval_loss_and_metrics_that_are_not_finite_do_not_count(
    tmp_path: Path,
) -> None:
    index = CheckpointIndex(tmp_path)
    for step, loss in ((1, 0.5), (2, 0.25), (3, 0.25), (4, float("nan"))):
        _save(index, step, eval_loss=loss)
    _save(index, 5)
    assert index.best() == 2
    assert index.latest() == 5


def test_pruning_keeps_the_best_and_the_newest(tmp_path: Path) -> None:
    index = CheckpointIndex(tmp_path)
    for step, loss in ((1, 0.1), (2, 0.5), (3, 0.4), (4, 0.3)):
        _save(index, step, eval_loss=loss)
    index.prune(keep=2)
    assert index.steps() == [1, 3, 4]
    index.prune(keep=1)
    assert index.steps() == [1, 4]
    assert sorted(os.listdir(tmp_path)) == ["latest", "step-1", "step-4"]


def test_a_damaged_newest_checkpoint_costs_no_good_one(tmp_path: Path) -> None:
    index = CheckpointIndex(tmp_path)
    for step in (1, 2, 3):
        _save(index, step)
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
    _save(index, 1, b"bad")
    _save(index, 1, b"good")
    assert (tmp_path / "step-1" / "weights.bin").read_bytes() == b"good"
    assert index.verify(1) is None
    assert sorted(os.listdir(tmp_path)) == ["latest", "step-1"]


# Fail at every operation, in the manner of SQLite's tests.


class _Fault:
    """Counts the file operations of this process and lets something happen before the k-th."""

    def __init__(self, at: int, happen: Callable[[], None]) -> None:
        self.count = 0
        self._at = at
        self._happen = happen
        self.log: list[str] = []

    def install(self, patch: pytest.MonkeyPatch) -> None:
        for name in _OPERATIONS:
            patch.setattr(os, name, self._wrap(name, getattr(os, name)))

    def _wrap(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            self.count += 1
            self.log.append(f"{name} {arguments[0] if arguments else ''}")
            if self.count == self._at:
                self._happen()
            return operation(*arguments, **named)

        return wrapped


def _second_save(index: CheckpointIndex) -> None:
    _save(index, 2, b"two", eval_loss=0.5)
    index.prune(keep=1)


def _again(index: CheckpointIndex) -> None:
    _save(index, 1, b"one again", eval_loss=0.5)


_SCENARIOS: dict[str, Callable[[CheckpointIndex], None]] = {
    "the next step, then prune": _second_save,
    "the same step again": _again,
}


def _operations_of(scenario: Callable[[CheckpointIndex], None], directory: Path) -> int:
    index = CheckpointIndex(directory)
    _save(index, 1, b"one", eval_loss=1.0)
    with pytest.MonkeyPatch.context() as patch:
        fault = _Fault(0, lambda: None)
        fault.install(patch)
        scenario(index)
    return fault.count


def _in_child(fault: _Fault, action: Callable[[], None]) -> int:
    """The wait status of a forked child that carries out `action` with `fault` installed."""
    child = os.fork()
    if child == 0:
        try:
            with pytest.MonkeyPatch.context() as patch:
                fault.install(patch)
                action()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


@pytest.mark.parametrize("name", _SCENARIOS)
def test_killed_at_any_operation_a_good_checkpoint_is_left_and_saving_goes_on(
    memory_path: Path, name: str
) -> None:
    scenario = _SCENARIOS[name]
    operations = _operations_of(scenario, memory_path / "count")
    assert operations > 20
    for k in range(1, operations + 1):
        index = CheckpointIndex(memory_path / str(k))
        _save(index, 1, b"one", eval_loss=1.0)
        fault = _Fault(k, lambda: os.kill(os.getpid(), signal.SIGKILL))
        status = _in_child(fault, lambda index=index: scenario(index))  # type: ignore[misc]
        assert os.WIFSIGNALED(status), k
        index.recover()
        assert _good(index) in (1, 2), k
        assert all(index.verify(step) is None for step in index.steps()), k
        scenario(index)
        assert _good(index) == (2 if scenario is _second_save else 1)
        assert {entry for entry in os.listdir(memory_path / str(k)) if entry.startswith(".")} == set()


@pytest.mark.parametrize("name", _SCENARIOS)
def test_a_full_disk_at_any_operation_is_named_and_saving_works_once_there_is_space(
    memory_path: Path, name: str
) -> None:
    scenario = _SCENARIOS[name]

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    operations, named = _operations_of(scenario, memory_path / "count"), 0
    for k in range(1, operations + 1):
        index = CheckpointIndex(memory_path / str(k))
        _save(index, 1, b"one", eval_loss=1.0)
        with pytest.MonkeyPatch.context() as patch:
            _Fault(k, full).install(patch)
            try:
                scenario(index)
            except CannotWriteError:
                named += 1
        index.recover()
        assert _good(index) in (1, 2), k
        scenario(index)
        assert _good(index) == (2 if scenario is _second_save else 1), k
    assert named >= operations - 1  # making a directory that is there already needs no space


def test_everything_is_on_the_disk_before_the_checkpoint_gets_its_name(tmp_path: Path) -> None:
    index = CheckpointIndex(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        fault = _Fault(0, lambda: None)
        fault.install(patch)
        _save(index, 1)
    renamed = fault.log.index(f"rename {tmp_path / '.staging-1'}")
    before = fault.log[:renamed]
    synced = {before[i - 1] for i, line in enumerate(before) if line.startswith("fsync")}
    names = {"weights.bin", "shards/optimizer.bin", "shards", ""}
    assert {f"open {tmp_path / '.staging-1' / name}" for name in names} <= synced
    assert any("manifest.json" in line for line in before)


def test_an_error_names_the_bytes_a_checkpoint_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = CheckpointIndex(tmp_path)
    _save(index, 1)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWriteError, match=r"quota.*17 bytes needed, [\d,]+ bytes free") as caught:
        _save(index, 2)
    assert caught.value.params["needed"] == 17
