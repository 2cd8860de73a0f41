"""Runs from outside: find one, list them, stop one, and say how each really stands."""

import difflib
import json as jsonlib
import os
import re
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dpo_tui.display import say, talk
from dpo_tui.doing import WORDS, doing
from dpo_tui.job_state import PATIENCE_SECONDS, standing_of_job
from dpo_tui.text import t
from dpo_tui.text.explain import explain
from engine.config.local import absolute
from engine.exits import Exit, UsageError
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.job import JobRecord, read_job
from engine.rundir.lock import is_locked
from engine.rundir.paths import RunDir
from engine.rundir.status import Reason, State, Status, read_record, read_status
from engine.sanitize import one_line

DEFAULT_RUNS_DIR = Path("runs")

_POLL_SECONDS = 0.1
_START_SECONDS = 30.0
_SILENCE_SECONDS = 60.0


def find(run: str, runs_dir: Path | None = None) -> Path:
    """The absolute directory of a run, by its name under `runs_dir` (else `./runs`) or by a path.

    A path may be the run's directory or its `config.toml`. Raises UsageError when there is none.
    """
    base = DEFAULT_RUNS_DIR if runs_dir is None else runs_dir
    named = [] if "/" in run or run in ("", ".", "..") else [base / run]
    for place in [*named, *([Path(absolute(run))] if run else [])]:
        root = place.parent if place.name == "config.toml" and os.path.isfile(place) else place
        if is_run(root):
            return root.absolute()
    close = difflib.get_close_matches(run, [path.name for path in run_dirs(base)], n=1)
    hint = (
        f"did you mean {close[0]}?" if close else "`dpo-tui runs` lists them, --runs names another directory"
    )
    text = f"no run {one_line(run)} in {base}: {hint}"
    case = {"case": "meant", "meant": close[0]} if close else {"case": "in"}
    raise UsageError("run.unknown", text, run=run, runs_dir=str(base), **case)


def is_run(root: Path) -> bool:
    """Whether a directory is a run's: it has a config, and a supervisor had or will have it."""
    config = root / "config.toml"
    return os.path.isfile(config) and not root.name.startswith(".")  # `is_file` raises where nobody may look


def run_dirs(runs_dir: Path) -> list[Path]:
    """Directories of the runs in `runs_dir`, the latest heard of first. Raises UsageError if it cannot be read."""
    try:
        roots = [entry for entry in runs_dir.iterdir() if is_run(entry)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        text = f"{runs_dir}: {error.strerror}: --runs names another directory"
        raise UsageError("runs.unreadable", text, runs_dir=str(runs_dir), detail=error.strerror) from error
    return sorted(roots, key=lambda root: (-last_heard(RunDir(root)), root.name))


def is_live(run: RunDir) -> bool:
    """Whether a supervisor carries the run on this machine, or a cluster has a job for it."""
    record = read_record(run.run_json)
    here = record is not None and record.host == socket.gethostname()
    if (here and record is not None and record.supervisor.alive()) or is_locked(run.lock):
        return True
    return current_job(run) is not None and not effective_state(run).final


def current_job(run: RunDir) -> JobRecord | None:
    """The job that was sent for the run, unless a supervisor of this or another machine came after it."""
    job, record = read_job(run.job_json), read_record(run.run_json)
    if job is None or (record is not None and record.launcher == "local" and _later(run.run_json, job)):
        return None
    return job


def _later(path: Path, job: JobRecord) -> bool:
    try:
        return path.stat().st_mtime > job.submitted
    except OSError:
        return False


def effective_state(run: RunDir, patience: float = PATIENCE_SECONDS) -> Status:
    """The status, corrected where nobody is left who could have corrected it: such a run is `failed`.

    A queue that has not answered within `patience` seconds is not waited for.
    """
    if (job := current_job(run)) is not None:
        return standing_of_job(run, job, resume_command(run), patience)
    status = read_status(run.status_json)
    if status is not None and status.final:
        return status
    if status is None:
        young = time.time() - last_heard(run) < _START_SECONDS
        if young or is_live(run):
            return Status(state="queued")
        return _lost(
            run, Status(state="failed"), "run.never_started", f"it never started; {resume_hint(run)}"
        )
    record = read_record(run.run_json)
    if record is not None and record.host != socket.gethostname():
        if time.time() - status.heartbeat < _SILENCE_SECONDS:
            return status
        text = f"nothing was heard from {record.host} for a minute; if it is gone, {resume_hint(run)}"
        return _lost(run, status, "run.silent", text, host=record.host)
    if is_live(run):
        return status
    return read_final(run) or _lost(
        run, status, "run.orphaned", f"its supervisor is gone; {resume_hint(run)}"
    )


def read_final(run: RunDir) -> Status | None:
    """The status if it is final; it may have become so a moment ago."""
    status = read_status(run.status_json)
    return status if status is not None and status.final else None


def resume_hint(run: RunDir) -> str:
    """The words that say how a run goes on."""
    return f"resume it with: {resume_command(run)}"


def resume_command(run: RunDir) -> str:
    """The command with which a run goes on."""
    return f"dpo-tui --headless {shlex.quote(str(run.config))} --resume"


def standing(run: RunDir, state: State, text: str) -> str:
    """How a run stands, as a sentence: the state, unless the reason names it already."""
    if state == "stopped" and re.search(r"\bstopped\b|停止", text):
        return t("command.standing.reason", standing=run.name, text=text)
    key = "command.standing.failed" if state == "failed" else "command.standing"
    stands = t(key, name=run.name, state=state_word(state))
    return t("command.standing.reason", standing=stands, text=text) if text else stands


def state_word(state: State) -> str:
    """The state for people."""
    return t(f"command.state.{state}")


def reason_text(status: Status) -> str:
    """Why a run ended, for people; empty where there is no reason."""
    reason = status.reason
    return explain(reason.code, reason.text, reason.params) if reason else ""


def show(runs_dir: Path | None, *, json: bool) -> Exit:
    """List the runs on stdout, as a table or as JSON, the latest heard of first."""
    base = DEFAULT_RUNS_DIR if runs_dir is None else runs_dir
    runs = [RunDir(root.absolute()) for root in run_dirs(base)]
    listed = [(run, effective_state(run)) for run in runs]
    if json:
        say(jsonlib.dumps([_as_json(run, status) for run, status in listed], indent=2))
    elif listed:
        head = tuple(t(f"command.table.{name}") for name in ("name", "state", "step", "heard", "reason"))
        table = [head, *(_row(*entry) for entry in listed)]
        for line in _aligned(table, shutil.get_terminal_size().columns if sys.stdout.isatty() else None):
            say(line)
    else:
        talk(t("command.no_runs", base=base))
    return Exit.DONE


def _lost(run: RunDir, status: Status, code: str, text: str, **params: Any) -> Status:
    reason = Reason(code, text, {"command": resume_command(run), **params})
    return replace(status, state="failed", exit_code=int(Exit.TRAINING_FAILED), reason=reason)


def last_heard(run: RunDir) -> float:
    """Unix time of the last sign of life: a heartbeat, else when the run was made."""
    status = read_status(run.status_json)
    if status is not None and status.heartbeat:
        return status.heartbeat
    try:
        return run.config.stat().st_mtime
    except OSError:
        return 0.0


def _as_json(run: RunDir, status: Status) -> dict[str, Any]:
    return {"name": run.name, "path": str(run.root), **asdict(status)}


def _row(run: RunDir, status: Status) -> tuple[str, ...]:
    step = status.step or CheckpointIndex(run.checkpoints_dir).latest() or 0
    steps = f"{step}/{status.total}" if status.total is not None else str(step or "-")
    reason = next(iter(reason_text(status).splitlines()), "")
    heard = _ago(time.time() - last_heard(run))
    return one_line(run.name), _doing_word(run, status), steps, heard, one_line(reason)


def _doing_word(run: RunDir, status: Status) -> str:
    """The state for people; of a run that trains no more what it does instead."""
    from dpo_tui.run_curve import read_curve

    trained = status.total is not None and status.step >= status.total
    does = doing(
        status.state, read_curve(run.events).phase if status.state == "running" else None, trained=trained
    )
    return t(f"state.{does}") if does in WORDS else state_word(status.state)


def _ago(seconds: float) -> str:
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return t(f"command.ago.{unit}", count=int(seconds // length))
    return t("command.ago.now")


def _aligned(rows: Sequence[Sequence[str]], width: int | None) -> Iterable[str]:
    """Lines with the cells of a column below each other, cut to `width` cells where one is given."""
    from rich.cells import cell_len, set_cell_size

    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(map(set_cell_size, row, widths)).rstrip()
        yield line if width is None or cell_len(line) <= width else set_cell_size(line, width - 1) + "…"
