"""Checkpoints are complete and verified, or not there: after a kill or a full disk at any file operation.

The tests fail at every operation, in the manner of SQLite's tests.
"""

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.exits import CannotWriteError
from engine.rundir.checkpoints import CheckpointIndex
from tests.unit.saved_checkpoints import newest_good, save

_OPERATIONS = ("open", "write", "fsync", "rename", "replace", "mkdir", "rmdir", "unlink")


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
    save(index, 2, b"two", eval_loss=0.5)
    index.prune(keep=1)


def _again(index: CheckpointIndex) -> None:
    save(index, 1, b"one again", eval_loss=0.5)


_SCENARIOS: dict[str, Callable[[CheckpointIndex], None]] = {
    "the next step, then prune": _second_save,
    "the same step again": _again,
}


def _operations_of(scenario: Callable[[CheckpointIndex], None], directory: Path) -> int:
    index = CheckpointIndex(directory)
    save(index, 1, b"one", eval_loss=1.0)
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
        save(index, 1, b"one", eval_loss=1.0)
        fault = _Fault(k, lambda: os.kill(os.getpid(), signal.SIGKILL))
        status = _in_child(fault, lambda index=index: scenario(index))  # type: ignore[misc]
        assert os.WIFSIGNALED(status), k
        index.recover()
        assert newest_good(index) in (1, 2), k
        assert all(index.verify(step) is None for step in index.steps()), k
        scenario(index)
        assert newest_good(index) == (2 if scenario is _second_save else 1)
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
        save(index, 1, b"one", eval_loss=1.0)
        with pytest.MonkeyPatch.context() as patch:
            _Fault(k, full).install(patch)
            try:
                scenario(index)
            except CannotWriteError:
                named += 1
        index.recover()
        assert newest_good(index) in (1, 2), k
        scenario(index)
        assert newest_good(index) == (2 if scenario is _second_save else 1), k
    assert named >= operations - 1  # making a directory that is there already needs no space


def test_everything_is_on_the_disk_before_the_checkpoint_gets_its_name(tmp_path: Path) -> None:
    index = CheckpointIndex(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        fault = _Fault(0, lambda: None)
        fault.install(patch)
        save(index, 1)
    renamed = fault.log.index(f"rename {tmp_path / '.staging-1'}")
    before = fault.log[:renamed]
    synced = {before[i - 1] for i, line in enumerate(before) if line.startswith("fsync")}
    names = {"weights.bin", "shards/optimizer.bin", "shards", ""}
    assert {f"open {tmp_path / '.staging-1' / name}" for name in names} <= synced
    assert any("manifest.json" in line for line in before)


def test_an_error_names_the_bytes_a_checkpoint_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = CheckpointIndex(tmp_path)
    save(index, 1)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWriteError, match=r"quota.*17 bytes needed, [\d,]+ bytes free") as caught:
        save(index, 2)
    assert caught.value.params["needed"] == 17
