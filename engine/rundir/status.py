"""How a run stands (`status.json`) and who runs it (`run.json`): written by the supervisor, always whole."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from engine.exits import CannotWriteError
from engine.process import ProcessId
from engine.rundir.files import as_json, number, overwrite, read_json, write_json, writing

State = Literal["queued", "starting", "running", "stopping", "done", "failed", "stopped"]
_LARGEST = 2**53

FINAL: frozenset[State] = frozenset({"done", "failed", "stopped"})


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a run ended: a code and params that the catalogues translate, and the English text."""

    code: str
    text: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The content of `status.json`."""

    state: State
    exit_code: int | None = None
    """Set exactly when the state is final."""
    reason: Reason | None = None
    heartbeat: float = 0.0
    """Unix time at which the supervisor last said that it is there."""
    step: int = 0
    """Optimiser steps completed."""
    total: int | None = None
    """Optimiser steps planned, once known."""

    @property
    def final(self) -> bool:
        """Whether the run has ended."""
        return self.state in FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """The content of `run.json`: the supervisor of the newest attempt."""

    id: str
    """Names the run for good, over all its attempts."""
    pid: int
    start_time: float
    owner: ProcessId | None
    """The process whose death stops the run; None when nobody's does."""
    host: str
    launcher: str
    job_id: str | None
    argv: list[str]

    @property
    def supervisor(self) -> ProcessId:
        """The supervisor's process, on `host`."""
        return ProcessId(self.pid, self.start_time)


def write_status(path: Path, status: Status) -> None:
    """Replace the status; only a final one is flushed to the disk. Raises CannotWriteError.

    A final status is written into the place of the old one when the disk has no room for a second file.
    """
    try:
        write_json(path, asdict(status), sync=status.final)
    except CannotWriteError:
        if not status.final:
            raise
        with writing(path):
            overwrite(path, as_json(asdict(status)))


def read_status(path: Path) -> Status | None:
    """The status in `path`, or None when there is none that can be understood. Unknown keys are ignored."""
    value = read_json(path)
    if value is None or value.get("state") not in get_args(State):
        return None
    return Status(
        state=value["state"],
        exit_code=_whole(value.get("exit_code")),
        reason=_reason(value.get("reason")),
        heartbeat=number(value.get("heartbeat")) or 0.0,
        step=_whole(value.get("step")) or 0,
        total=_whole(value.get("total")),
    )


def write_record(path: Path, record: RunRecord) -> None:
    """Replace the record. Raises CannotWriteError."""
    write_json(path, asdict(record))


def read_record(path: Path) -> RunRecord | None:
    """The record in `path`, or None when there is none that can be understood."""
    value = read_json(path)
    supervisor = _process(value)
    if value is None or supervisor is None:
        return None
    argv = value.get("argv")
    job_id = value.get("job_id")
    return RunRecord(
        id=str(value.get("id", "")),
        pid=supervisor.pid,
        start_time=supervisor.start_time,
        owner=_process(value.get("owner")),
        host=str(value.get("host", "")),
        launcher=str(value.get("launcher", "local")),
        job_id=None if job_id is None else str(job_id),
        argv=[str(word) for word in argv] if isinstance(argv, list) else [],
    )


def _reason(value: Any) -> Reason | None:
    if not isinstance(value, dict):
        return None
    params = value.get("params")
    return Reason(
        code=str(value.get("code", "")),
        text=str(value.get("text", "")),
        params=params if isinstance(params, dict) else {},
    )


def _process(value: Any) -> ProcessId | None:
    if not isinstance(value, dict):
        return None
    pid, start = _whole(value.get("pid")), number(value.get("start_time"))
    return None if pid is None or start is None else ProcessId(pid, start)


def _whole(value: Any) -> int | None:
    """A whole number that can be reckoned with: beyond it a float tells no two apart, or cannot hold it."""
    return value if type(value) is int and abs(value) <= _LARGEST else None
