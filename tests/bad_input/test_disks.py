"""A disk that gives out at any moment of a run: one line, exit code 6, nothing half-written, and it goes on after.

The disk fails at one file operation and at all after it, wherever in the run that is. What
native code writes, tensors and prepared pairs, fails on real disks in `tests/cluster`.
"""

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.exits import Exit
from engine.rundir.paths import RunDir
from tests.bad_input.command import Command, Outcome, leftovers

MOMENTS = 8
"""Operations of one run at which the disk gives out, from the first to the last. 24 hold as well, in a minute."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Disk:
    """Everything below `root`: after `room` operations that take space, none works any more."""

    def __init__(self, root: Path, room: float, number: int) -> None:
        self.root, self.used = root, 0
        self._room, self._number = room, number

    @contextmanager
    def mounted(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in ("mkdir", "rename", "replace", "write", "fsync"):
                patch.setattr(os, name, self._wrap(getattr(os, name), lambda *_: True))
            patch.setattr(os, "open", self._wrap(os.open, lambda _, flags, *__: self._takes_space(flags)))
            patch.setattr(io, "open", self._wrap(io.open, lambda _, mode="r", *__: mode[0] in "wax"))
            yield

    def _takes_space(self, flags: int) -> bool:
        """On a full disk a file that exists can still be written over; on a read-only one nothing can."""
        return bool(flags & (os.O_CREAT if self._number == errno.ENOSPC else WRITING))

    def _wrap(self, operation: Callable[..., Any], counts: Callable[..., bool]) -> Callable[..., Any]:
        def wrapped(place: Any, *arguments: Any, **named: Any) -> Any:
            if self._here(place) and counts(place, *arguments):
                self.used += 1
                if self.used > self._room:
                    raise OSError(self._number, os.strerror(self._number))
            return operation(place, *arguments, **named)

        return wrapped

    def _here(self, place: Any) -> bool:
        """Whether a path or an open file lies on this disk. The log is no file of the run's, in these tests."""
        path = (
            Path(f"/proc/self/fd/{place}").readlink() if isinstance(place, int) else Path(os.fsdecode(place))
        )
        return path.is_relative_to(self.root) and path.name != "train.log"


@pytest.fixture
def train(dpo_tui: Command, config: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    monkeypatch.setattr(
        "dpo_tui.starting.is_live", lambda _: False
    )  # the supervisor is this process, and lives
    return lambda *words: dpo_tui("--headless", config, "--set=train.max_steps=3", *words)


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "no space left on the disk"), (errno.EROFS, "the file system is read-only")],
)
def test_a_disk_that_gives_out_at_any_moment_ends_the_run_in_one_line_and_it_goes_on_after(
    train: Callable[..., Outcome], tmp_path: Path, number: int, words: str
) -> None:
    whole = Disk(tmp_path / "whole", float("inf"), number)
    with whole.mounted():
        assert train("--runs", whole.root).code == Exit.DONE
    assert whole.used > 2 * MOMENTS
    refusals = 0
    for moment in range(MOMENTS):
        disk = Disk(tmp_path / str(moment), moment * whole.used // MOMENTS, number)
        run = RunDir(disk.root / "tiny")
        with disk.mounted():
            outcome = train("--runs", disk.root)
        if outcome.code == Exit.DONE:  # what is left is the summary, and the run is worth more
            assert (run.export_dir / "model.safetensors").exists()
            continue
        refusals += 1
        assert outcome.code == Exit.CANNOT_WRITE, outcome
        assert words in outcome.err
        assert str(run.root) in outcome.err
        assert "Traceback" not in outcome.err + (run.train_log.read_text() if run.root.exists() else "")
        assert leftovers(run) == []
        again = train("--runs", disk.root, *(["--resume"] if run.root.exists() else []))
        assert again.code == Exit.DONE, again
        assert (run.export_dir / "model.safetensors").exists()
    assert refusals > MOMENTS // 2


def test_a_disk_that_is_read_only_from_the_start_is_told_before_anything_is_made(
    train: Callable[..., Outcome], tmp_path: Path
) -> None:
    disk = Disk(tmp_path / "disk", 0, errno.EROFS)
    disk.root.mkdir()
    with disk.mounted():
        outcome = train("--runs", disk.root)
    assert (outcome.code, outcome.out) == (Exit.CANNOT_WRITE, "")
    assert outcome.err == f"{disk.root}/tiny: cannot write: the file system is read-only\n"
    assert list(disk.root.iterdir()) == []
