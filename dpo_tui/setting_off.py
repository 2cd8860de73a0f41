"""What a config starts, decided in one place: a sweep, a job, or a run of this machine; and its start for nobody."""

from collections.abc import Sequence
from pathlib import Path

from dpo_tui import sending, sweep
from dpo_tui.sending import Wanted
from dpo_tui.starting import Prepared, make_ready, prepare, take_back
from dpo_tui.sweep import Sweep, prepare_sweep
from engine.exits import EnvironmentUnfitError
from engine.launch.local import SupervisorCommand, spawn_supervisor
from engine.rundir.paths import RunDir


def to_start(
    path: Path,
    *,
    run_name: str | None = None,
    runs_dir: Path | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
) -> Sweep | Prepared:
    """The sweep or the run that the config at `path` describes. Nothing is written.

    Raises EngineError with what stands in the way.
    """
    found = prepare_sweep(path, run_name=run_name, runs_dir=runs_dir, overrides=overrides, resume=resume)
    return found or prepare(path, run_name=run_name, runs_dir=runs_dir, overrides=overrides, resume=resume)


def set_off(what: Sweep | Prepared, command: SupervisorCommand, wanted: Wanted = lambda: True) -> RunDir:
    """Start it, owned by nobody; returns the run, of a sweep the first.

    A job is waited for until the cluster has looked at it, or nobody `wanted` to know. Of a new run that does not start
    nothing stays. Raises EngineError with what stands in the way.
    """
    if isinstance(what, Sweep):
        sweep.send(what, wanted=wanted)
        return what.runs[0].run
    if what.on_cluster:
        sending.send([what], what.run.job_script, wanted=wanted)
    else:
        _spawn(what, command)
    return what.run


def _spawn(prepared: Prepared, command: SupervisorCommand) -> None:
    make_ready(prepared)
    try:
        spawn_supervisor(prepared.run, owner=False, command=command)
    except BaseException as error:
        take_back(prepared)  # made a moment ago: it may be tried again
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            text = f"the training process cannot be started: {reason}"
            raise EnvironmentUnfitError("launch.cannot_start", text, reason=reason) from error
        raise
