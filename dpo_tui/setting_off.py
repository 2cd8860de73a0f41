"""A run set off that nobody owns: a supervisor of this machine, or a job on the cluster."""

from engine.config.load import load_config
from engine.launch.local import SupervisorCommand, spawn_supervisor
from engine.launch.slurm.submit import submit
from engine.rundir.paths import RunDir


def set_off(run: RunDir, command: SupervisorCommand) -> str | None:
    """Start the run by what its config says; returns the id of the job, None for a run of this machine.

    Raises EngineError, and OSError where its supervisor cannot be started.
    """
    config = load_config(run.config).config
    if config.launch.launcher == "slurm":
        return submit(config, [run], run.job_script)
    spawn_supervisor(run, owner=False, command=command)
    return None
