"""Letting a run go on: what `dpo-tui --headless CONFIG --resume --detach` does, for the app."""

from pathlib import Path

from engine.launch.local import SupervisorCommand, spawn_supervisor
from engine.rundir.paths import RunDir


def resume(root: Path, supervisor: SupervisorCommand) -> bool:
    """Start the run's supervisor again; False for a run that is done. It belongs to nobody. Raises EngineError."""
    from dpo_tui.starting import prepare

    prepared = prepare(RunDir(root).config, resume=True)
    if prepared.done:
        return False
    spawn_supervisor(prepared.run, owner=False, command=supervisor)
    return True
