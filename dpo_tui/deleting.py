"""Deleting a run: what would go, and its going, whole or not at all."""

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dpo_tui.exporting import is_busy
from dpo_tui.resuming import needs_confirmation
from dpo_tui.run_list import is_rest
from dpo_tui.runs import effective_state, is_live, is_run
from engine.exits import UsageError
from engine.process import start_time
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.files import writing
from engine.rundir.lock import RunLock
from engine.rundir.paths import RunDir
from engine.sanitize import one_line

_LEFT = re.compile(r"\..+\.deleted-(?P<pid>[0-9]{1,10})", re.DOTALL)
"""The name of a run while it is being removed."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """What goes with a run."""

    root: Path
    checkpoints: int
    exported: bool
    """Whether an exported model is among it."""
    bytes: int
    silent: bool = False
    """Whether another machine may still train it, though nothing is heard from there."""


def doomed(root: Path) -> Doomed:
    """What would go. Reads the sizes of all files: not for a thread that draws."""
    run = RunDir(root)
    return Doomed(
        root,
        checkpoints=len(CheckpointIndex(run.checkpoints_dir).steps()),
        exported=os.path.isdir(run.export_dir),
        bytes=_bytes_below(root),
        silent=is_run(root) and needs_confirmation(effective_state(run)),
    )


def delete(root: Path) -> None:
    """Remove a run's directory. Raises UsageError for a live one or for what is none, and CannotWriteError.

    It loses its name first: half a removal does not look like a run. What removals that were cut short have left
    beside it goes as well.
    """
    run = RunDir(root)
    _require_ended(run)
    if root.is_symlink():
        with writing(root):
            root.unlink()  # the run itself is elsewhere, and stays
        return
    with suppress(OSError):
        _sweep(root.parent)
    hidden = root.with_name(f".{root.name}.deleted-{os.getpid()}")
    with RunLock(run.lock), writing(root):
        os.rename(root, hidden)
    with writing(hidden):
        shutil.rmtree(hidden)


def _sweep(runs_dir: Path) -> None:
    """Remove what processes that are no more have left of their removals."""
    for name in os.listdir(runs_dir):
        left = _LEFT.fullmatch(name)
        if left is not None and start_time(int(left["pid"])) is None:
            shutil.rmtree(runs_dir / name, ignore_errors=True)


def _require_ended(run: RunDir) -> None:
    name = one_line(run.name)
    if not (is_run(run.root) or is_rest(run.root)):
        raise UsageError("run.unknown", f"{one_line(str(run.root))} is no run", run=str(run.root))
    if is_live(run) or (is_run(run.root) and not effective_state(run).final):
        raise UsageError("run.live_delete", f"{name} is running: stop it first", run=run.name)
    if is_busy(run):
        raise UsageError("run.exporting", f"{name} is being exported: wait for its end", run=run.name)


def _bytes_below(root: Path) -> int:
    """Bytes of all files, links not followed."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue  # it went away meanwhile
    return total
