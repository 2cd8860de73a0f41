"""Runs sent to the cluster as one job, and its first look at it waited for. From then on the job belongs to Slurm."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from dpo_tui.runs import current_job, effective_state, reason_text
from dpo_tui.starting import Prepared, make_ready, take_back
from engine.exits import EngineError, UsageError
from engine.launch.slurm.queue import QUEUE, cancel
from engine.launch.slurm.submit import submit

_LOOK_SECONDS = 1.0
_VERDICT_SECONDS = 20.0
"""How long the cluster has to say that it will never begin a job: it looks at a new one within seconds."""

Wanted = Callable[[], bool]
"""Whether somebody still waits for the cluster's look."""


def send(
    runs: Sequence[Prepared],
    script: Path,
    *,
    sent: Callable[[str], object] = lambda _: None,
    wanted: Wanted = lambda: True,
) -> str:
    """Make the runs ready and send them as one job with its `script` there; returns the job's id.

    `sent` hears of it before the cluster looks at it, which may take 20 seconds. Of new runs whose job is refused, or
    will never begin, nothing stays. Raises EngineError.
    """
    made: list[Prepared] = []
    try:
        for prepared in runs:
            make_ready(prepared)
            made.append(prepared)
        job = submit(runs[0].config, [prepared.run for prepared in runs], script)
        sent(job)
        _require_beginning(runs, wanted)
    except EngineError:
        for prepared in made:
            take_back(prepared)
        raise
    return job


def _require_beginning(runs: Sequence[Prepared], wanted: Wanted) -> None:
    """Wait until the cluster has looked at the job that was sent for these runs, or nobody wants to know.

    Where it will never begin, the job is cancelled: raises UsageError.
    """
    job = current_job(runs[0].run)
    assert job is not None, "its job was sent just now"
    deadline, state = time.monotonic() + _VERDICT_SECONDS, None
    while wanted() and time.monotonic() < deadline:
        QUEUE.forget(job)
        state = QUEUE.state(job, _VERDICT_SECONDS)
        if state is None or not state.waits or state.reason not in ("", "None"):
            break
        time.sleep(_LOOK_SECONDS)
    if state is not None and state.never:
        why = reason_text(effective_state(runs[0].run))
        cancel(replace(job, id=job.id.partition("_")[0]))  # of a sweep, the whole array
        raise UsageError("slurm.never", f"{why}. It was cancelled", why=why, job=job.id)
