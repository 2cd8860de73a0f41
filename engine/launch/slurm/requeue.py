"""What becomes of a job whose time is nearly up, once its run is saved."""

from engine.config.slurm import Slurm
from engine.exits import Exit
from engine.launch.slurm.job import Job
from engine.rundir.status import Reason

End = tuple[Exit, Reason]


def end_instead(asked: Slurm, step: int, before: int) -> End | None:
    """How the run ends that shall not, or must not, be queued again; None for one that goes on.

    `step` is the newest checkpoint's, `before` that of the job's start: a job that got no further would queue for ever.
    """
    if not asked.requeue:
        text = f"the job's time was nearly up; step {step} is saved"
        return Exit.STOPPED, Reason("slurm.time_up", text, {"step": step})
    if step <= before:
        text = "the job's time less launch.slurm.grace was up before a step was done: raise launch.slurm.time"
        return Exit.USAGE, Reason("slurm.no_progress", text, {"step": step})
    return None


def queued(job: Job, step: int) -> Reason:
    """Why the run waits."""
    text = f"the job's time was nearly up; step {step} is saved, and the job is queued again"
    return Reason("slurm.requeued", text, {"step": step, "job": job.id})


def refused(step: int, detail: str) -> End:
    """How the run ends that scontrol would not queue again."""
    text = f"the job's time was nearly up; step {step} is saved, but it could not be queued again: {detail}"
    return Exit.STOPPED, Reason("slurm.not_requeued", text, {"step": step, "detail": detail})
