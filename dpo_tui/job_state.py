"""How a run stands whose job Slurm has: what the run says of itself, and until it speaks what the queue says."""

import time
from dataclasses import replace

from dpo_tui.text import has, t
from engine.exits import Exit
from engine.launch.slurm.queue import FORGOTTEN, QUEUE, JobState
from engine.rundir.job import JobRecord
from engine.rundir.paths import RunDir
from engine.rundir.status import Reason, Status, read_record, read_status

SILENCE_SECONDS = 60.0
PATIENCE_SECONDS = 2.0
"""How long the first answer about a job is waited for: a screen may be waiting as well."""


ENDS = {
    "TIMEOUT": "it was not saved in time; raise launch.slurm.grace",
    "OUT_OF_MEMORY": "it took more than the memory it was given; raise launch.slurm.mem",
    "NODE_FAIL": "one of its nodes failed",
    FORGOTTEN: "Slurm no longer knows of it, and it left no word: cancelled before it began, or see job.log",
}
"""What Slurm's words for a job's end mean, where they say why."""


def standing_of_job(run: RunDir, job: JobRecord, resume: str, patience: float = PATIENCE_SECONDS) -> Status:
    """The effective state of a run with a job; `resume` is the command by which it goes on."""
    status = _spoken(run, job)
    if status is not None and _may_begin_again(status):
        return _ended_by_slurm(status, QUEUE.state(job, patience), job)
    if status is not None and (status.final or _fresh(status)):
        return status
    state = QUEUE.state(job, patience)
    if state is None:
        return _unknown(status, job, resume)
    if state.live:
        return _waiting(status, state, job)
    status = _spoken(run, job)  # it may have said its last word meanwhile
    if status is not None and status.final:
        return status
    return _over(status or Status(state="failed"), state, job, resume)


def _spoken(run: RunDir, job: JobRecord) -> Status | None:
    """What the run says of itself since this job began; None before, when an attempt of another job spoke last."""
    record = read_record(run.run_json)
    return read_status(run.status_json) if record is not None and record.job_id == job.id else None


def waits_because(reason: str) -> str:
    """Why a job waits, in plain words; Slurm's own where there are none for it."""
    key = f"slurm.why.{reason or 'None'}"
    return t(key) if has(key) else t("slurm.why.other", reason=reason)


def _fresh(status: Status) -> bool:
    return status.state != "queued" and time.time() - status.heartbeat < SILENCE_SECONDS


def _may_begin_again(status: Status) -> bool:
    """Whether Slurm ended it: by scancel for good, for a node that failed until it has others."""
    return status.final and status.reason is not None and status.reason.params.get("case") == "terminated"


def _ended_by_slurm(status: Status, state: JobState | None, job: JobRecord) -> Status:
    if state is None or not state.live:
        return status
    going_on = replace(status, state="queued" if state.waits else "stopping", exit_code=None)
    return _waiting(going_on, state, job) if state.waits else going_on


def _unknown(status: Status | None, job: JobRecord, resume: str) -> Status:
    """Nobody tells: a run that fell silent is lost, one that never spoke waits."""
    if status is None or status.state == "queued":
        text = f"job {job.id}: the queue cannot be asked from here"
        return replace(
            status or Status(state="queued"), reason=Reason("slurm.unknown", text, {"job": job.id})
        )
    text = f"nothing was heard from job {job.id} for a minute, and the queue cannot be asked; resume it with: {resume}"
    return _gone(status, Reason("slurm.silent", text, {"job": job.id, "command": resume}))


def _waiting(status: Status | None, state: JobState, job: JobRecord) -> Status:
    if not state.waits:
        return status if status is not None and status.state != "queued" else Status(state="starting")
    why = waits_because(state.reason)
    text = f"job {job.id} waits: {why}"
    params = {"job": job.id, "why": why, "case": "never" if state.never else ""}
    if state.never:
        text += f". It will not begin as it is: `scancel {job.id}`, and correct [launch.slurm]"
    waiting = status if status is not None and status.state == "queued" else Status(state="queued")
    return replace(waiting, reason=Reason("slurm.pending", text, params))


def _over(status: Status, state: JobState, job: JobRecord, resume: str) -> Status:
    """The job is over, and the run did not say how it ended."""
    params = {"job": job.id, "state": state.state, "command": resume}
    if state.state == "CANCELLED":
        text = f"job {job.id} was cancelled; go on with: {resume}"
        reason = Reason("slurm.cancelled", text, params)
        return replace(status, state="stopped", exit_code=int(Exit.INTERRUPTED), reason=reason)
    why = ENDS.get(state.state, "it left no word; see train.log and job.log")
    text = f"job {job.id} ended as {state.state}: {why}. Go on with: {resume}"
    case = state.state if state.state in ENDS else ""
    return _gone(status, Reason("slurm.ended", text, {**params, "case": case}))


def _gone(status: Status, reason: Reason) -> Status:
    return replace(status, state="failed", exit_code=int(Exit.TRAINING_FAILED), reason=reason)
