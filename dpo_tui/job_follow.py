"""Headless runs on a cluster: send the job, tell why it waits, follow it to its end. A job belongs to Slurm."""

import json as jsonlib
import shlex
import time

from dpo_tui.display import say, talk
from dpo_tui.ending import announce, ending_of
from dpo_tui.follow_events import follow_events
from dpo_tui.runs import current_job, effective_state, reason_text
from dpo_tui.sending import send
from dpo_tui.starting import Prepared
from dpo_tui.text import t
from engine.exits import Exit
from engine.rundir.events import complete_size
from engine.rundir.paths import RunDir
from engine.rundir.status import Status

_LOOK_SECONDS = 1.0


def send_and_follow(prepared: Prepared, *, json: bool, detach: bool) -> Exit:
    """Send a run's job and stay until it ends, or with `detach` until the cluster has taken it.

    Of a run that the cluster refuses nothing stays. Raises EngineError.
    """
    run = prepared.run
    offset = complete_size(run.events)

    def tell(job: str) -> None:
        talk(t("command.sent", name=run.name, job=job, root=run.root))

    try:
        job = send([prepared], run.job_script, sent=tell)
    except KeyboardInterrupt:
        if current_job(run) is None:  # nothing was sent yet
            raise
        return leave(run)
    if detach:
        talk(t("command.detached", where=shlex.quote(str(run.root))))
        say(jsonlib.dumps({"name": run.name, "path": str(run.root), "job": job}) if json else run.name)
        return Exit.DONE
    return follow_job(run, offset=offset, json=json)


def follow_job(run: RunDir, *, offset: int, json: bool) -> Exit:
    """Show a job's waiting and its events until it ends; INT leaves it to itself."""
    waiting = Waiting(run)
    try:
        follow_events(run, waiting.lives, offset=offset, json=json)
    except KeyboardInterrupt:
        return leave(run)
    return announce(run, ending_of(run, None))


def leave(run: RunDir) -> Exit:
    """Say that the job goes on without this command, and how one comes back to it."""
    talk(t("command.goes_on", name=run.name, where=shlex.quote(str(run.root))))
    return Exit.INTERRUPTED


class Waiting:
    """Whether a job's run is still to be followed; says why it waits, whenever that changes."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._told = ""
        self._due = 0.0
        self._alive = True

    def lives(self) -> bool:
        """Looked up once a second."""
        if time.monotonic() >= self._due:
            status = effective_state(self._run)
            self._tell(status)
            self._alive = not status.final
            self._due = time.monotonic() + _LOOK_SECONDS
        return self._alive

    def _tell(self, status: Status) -> None:
        text = reason_text(status) if status.state == "queued" else ""
        if text and text != self._told:
            talk(text)
        self._told = text
