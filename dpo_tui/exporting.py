"""Exports as processes of their own: started, found again by another app, and ended on request.

An export writes its events into the run's directory and outlives the app that started it, as a run does.
"""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dpo_tui import clock
from dpo_tui.export_story import Result, Story, StoryFollower, result_of
from engine.exits import UsageError
from engine.launch.local import ENGINE, supervisor_environment
from engine.process import ProcessId, start_time
from engine.rundir.events import EventWriter, read_events
from engine.rundir.files import read_json, write_json, writing
from engine.rundir.lock import RunLock
from engine.rundir.paths import RunDir

ANSWERS = 3
"""Questions answered before and after."""

_PROCESS_FILE, _LOG_FILE, _LOCK_FILE = "export.json", "export.log", "export.lock"
_PATIENCE_SECONDS = 5.0
"""How long another app may take to start an export: then it counts as at work."""

_END_BYTES = 256 * 1024
_SILENCE_SECONDS = 900.0
"""After which an export that nobody here can look at counts as lost: the largest part writes nothing for long."""

_ours: dict[Path, subprocess.Popen[bytes]] = {}
"""The latest export that this process has started, by the run's directory."""

_one_at_a_time = threading.Lock()
"""Held from the look whether an export is at work until there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """What is to be exported, and where to."""

    step: int
    adapter: bool
    dtype: str
    to: Path
    push: str | None = None
    private: bool = True

    def argv(self, run: RunDir) -> list[str]:
        """The words after `python -m engine`. Each choice is said: the run's config decides nothing."""
        words = ["export", str(run.root), "--progress", str(run.export_events), "--answers", str(ANSWERS)]
        words += ["--checkpoint", str(self.step), "--dtype", self.dtype, "--to", str(self.to)]
        words += ["--adapter" if self.adapter else "--no-adapter"]
        if self.push is not None:
            words += ["--push", self.push, "--private" if self.private else "--public"]
        return words


def export_log(run: RunDir) -> Path:
    """What the export's process says besides its events."""
    return run.root / _LOG_FILE


def start_export(run: RunDir, plan: ExportPlan) -> bool:
    """Start an export in a session of its own; its events begin anew. False where one is at work already.

    Raises CannotWriteError.
    """

    def begin() -> None:
        with writing(run.export_events):
            run.export_events.unlink(missing_ok=True)
        _start(run, plan.argv(run), plan.to, plan)

    return _alone(run, begin)


def start_answers(run: RunDir, folder: Path) -> bool:
    """Ask an exported folder, and its base, the same questions; told after the export's own events.

    False where an export is at work already. Raises CannotWriteError.
    """
    words = [
        "answers",
        str(run.root),
        str(folder),
        "--progress",
        str(run.export_events),
        "--count",
        str(ANSWERS),
    ]

    def begin() -> None:
        with EventWriter(run.export_events) as events:
            events.emit("asked")
        plan = plan_of(run)
        _start(run, words, folder, plan if plan is not None and plan.to == folder else None)

    return _alone(run, begin)


def _alone(run: RunDir, begin: Callable[[], None]) -> bool:
    """Whether there was room for it, and it has begun. Another app may ask in the same instant."""
    try:
        with _one_at_a_time, RunLock(run.root / _LOCK_FILE, _PATIENCE_SECONDS):
            if is_busy(run):
                return False
            begin()
            return True
    except UsageError:  # somebody else holds the lock, and has not let go of it
        return False


def _start(run: RunDir, words: Sequence[str], folder: Path, plan: ExportPlan | None) -> None:
    with writing(run.export_events):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        log = os.open(export_log(run), flags, 0o600)
    try:
        process = subprocess.Popen(
            [*ENGINE, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=supervisor_environment(os.environ),
            start_new_session=True,
        )
    finally:
        os.close(log)
    _ours[run.root] = process
    record = {
        "pid": process.pid,
        "start_time": start_time(process.pid),
        "host": socket.gethostname(),
        "folder": str(folder),
        "plan": None if plan is None else asdict(plan),
    }
    write_json(run.root / _PROCESS_FILE, record, sync=False)


def is_running(run: RunDir) -> bool:
    """Whether the process of the latest export lives; on another machine, whether it was heard of lately."""
    if _runs_by_us(run):
        return True
    record = _record(run)  # of another app, which may have started one since ours ended
    if record.get("host") != socket.gethostname():
        return _heard(run.export_events)
    process = _process(record)
    return process is not None and process.alive()


def is_busy(run: RunDir) -> bool:
    """Whether an export is at work: one that has said its last word only has to go."""
    return is_running(run) and story_of(run).end is None


def story_of(run: RunDir) -> Story:
    """What the latest export has told so far."""
    follower = StoryFollower(run.export_events)
    while follower.poll():
        pass
    return follower.story


def may_cancel(run: RunDir) -> bool:
    """Whether this process has started the export that runs."""
    return _runs_by_us(run)


def cancel(run: RunDir) -> None:
    """Ask an export that was started here to end; it leaves no half of a folder."""
    if _runs_by_us(run):
        with suppress(ProcessLookupError):
            _ours[run.root].send_signal(signal.SIGTERM)


def _runs_by_us(run: RunDir) -> bool:
    ours = _ours.get(run.root)
    return ours is not None and ours.poll() is None


def plan_of(run: RunDir) -> ExportPlan | None:
    """What the latest export was asked for; None where an app of another kind asked, or the training exported."""
    plan = _record(run).get("plan")
    match plan if isinstance(plan, dict) else {}:
        case {"step": int(step), "adapter": bool(adapter), "dtype": str(dtype), "to": str(to), **rest}:
            push = rest.get("push")
            return ExportPlan(
                step=step,
                adapter=adapter,
                dtype=dtype,
                to=Path(to),
                push=push if isinstance(push, str) else None,
                private=rest.get("private") is not False,
            )
        case _:
            return None


def exported_before(run: RunDir) -> Result | None:
    """What was exported of the run: by the latest export asked for, else by the training itself."""
    folder = _record(run).get("folder")
    if isinstance(folder, str) and (found := result_of(Path(folder))) is not None:
        return found
    path = _last_export(run)
    return None if path is None else result_of(path)


def _last_export(run: RunDir) -> Path | None:
    """The folder that the training's own export event, or the summary, names."""
    try:
        offset = max(0, run.events.stat().st_size - _END_BYTES)
    except OSError:
        offset = 0
    said = [event.get("path") for event in read_events(run.events, offset) if event["type"] == "export"]
    path = said[-1] if said else (read_json(run.summary_json) or {}).get("export")
    return Path(path) if isinstance(path, str) else None


def _record(run: RunDir) -> dict[str, Any]:
    return read_json(run.root / _PROCESS_FILE) or {}


def _process(record: dict[str, Any]) -> ProcessId | None:
    match record:
        case {"pid": int(pid), "start_time": float() | int() as started}:
            return ProcessId(pid, float(started))
        case _:
            return None


def _heard(path: Path) -> bool:
    try:
        return clock.now() - path.stat().st_mtime < _SILENCE_SECONDS
    except OSError:
        return False
