"""Asking a run to stop: by a file that it looks for between two steps; a job that has not begun, by scancel."""

import time
from pathlib import Path

from dpo_tui.display import talk
from dpo_tui.job_state import PATIENCE_SECONDS, SILENCE_SECONDS
from dpo_tui.runs import current_job, effective_state, last_heard, reason_text, standing, state_word
from dpo_tui.text import t
from engine.exits import EnvironmentUnfitError, Exit
from engine.launch.slurm.queue import QUEUE, cancel
from engine.rundir.control import Control
from engine.rundir.paths import RunDir

_POLL_SECONDS = 0.1


def ask_to_stop(run: RunDir) -> None:
    """Ask for a checkpoint and the end. Raises CannotWriteError, and EnvironmentUnfitError for a job that stays."""
    Control(run.control_dir).request_stop()
    _take_from_queue(run)


def stop(run: Path, *, wait: bool) -> Exit:
    """Ask a run for a checkpoint and its end; with `wait`, until it has ended. 1 if it ended by failing."""
    directory = RunDir(run)
    status = effective_state(directory)
    if status.final:
        talk(t("command.not_running", name=directory.name, state=state_word(status.state)))
        return Exit.DONE
    ask_to_stop(directory)
    if not wait:
        talk(t("command.will_stop", name=directory.name))
        return Exit.DONE
    while not (status := effective_state(directory)).final:
        time.sleep(_POLL_SECONDS)
    talk(standing(directory, status.state, reason_text(status)))
    return Exit.TRAINING_FAILED if status.state == "failed" else Exit.DONE


def _take_from_queue(run: RunDir) -> None:
    """Cancel a job that has not begun, or whose supervisor is silent: nobody is there who would stop by itself."""
    job = current_job(run)
    state = QUEUE.state(job, PATIENCE_SECONDS) if job is not None else None
    if job is None or state is None or not state.live:
        return
    silent = time.time() - last_heard(run) > SILENCE_SECONDS
    if (state.waits or silent) and (refusal := cancel(job)):
        raise EnvironmentUnfitError(
            "slurm.not_cancelled",
            f"job {job.id} could not be cancelled: {refusal}",
            job=job.id,
            detail=refusal,
        )
