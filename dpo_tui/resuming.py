"""Letting a run go on: what `dpo-tui --headless CONFIG --resume --detach` does, for the app."""

from pathlib import Path
from typing import Protocol

from engine.launch.local import SupervisorCommand
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.paths import RunDir
from engine.rundir.status import Reason

_NOT_RESUMED = ("gates.missed",)
"""Ends that a resume would only reach again."""

_SILENT = "run.silent"


class Standing(Protocol):
    """How a run stands: a `Status`, or a row of the list of runs."""

    @property
    def state(self) -> str:
        """Whether it has ended, and how."""
        ...

    @property
    def reason(self) -> Reason | None:
        """Why it ended."""
        ...


def resumable(run: Standing) -> bool:
    """Whether going on could change how it ended."""
    return run.state in ("failed", "stopped") and _code(run) not in _NOT_RESUMED


def has_checkpoint(run: RunDir) -> bool:
    """Whether there is something to go on from; nothing is verified."""
    return bool(CheckpointIndex(run.checkpoints_dir).steps())


def needs_confirmation(run: Standing) -> bool:
    """Whether another machine may still train it: it counts as failed only because nothing is heard from there."""
    return _code(run) == _SILENT


def _code(run: Standing) -> str:
    return run.reason.code if run.reason is not None else ""


def resume(root: Path, supervisor: SupervisorCommand) -> bool:
    """Start the run's supervisor again, or send its job; False for a run that is done. It belongs to nobody.

    A job may take 20 seconds: so in a thread. Raises EngineError.
    """
    from dpo_tui.setting_off import set_off
    from dpo_tui.starting import prepare

    prepared = prepare(RunDir(root).config, resume=True)
    if prepared.done:
        return False
    set_off(prepared, supervisor)
    return True
