"""The runs as the first screen lists them: read in two goes, how each stands and then its curve."""

import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from dpo_tui.resuming import has_checkpoint
from dpo_tui.run_curve import Curve, read_curve
from dpo_tui.runs import current_job, effective_state, is_run, read_final
from engine.exits import UsageError
from engine.rundir.files import number, read_json
from engine.rundir.paths import RunDir
from engine.rundir.status import FINAL, Reason, RunRecord, State, read_record, read_status

QUEUE_SECONDS = 1.0
"""How long one look waits for the queue."""

MOST_COMPARED = 4
"""Runs that can be told apart by how their lines are drawn."""

Problem = Literal["no_config", "bad_status"]
Signature = tuple[tuple[int, int], ...]
"""Size and time of change of files: while it is the same, so is what was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run as the list shows it."""

    root: Path
    state: State | Literal["broken"]
    problem: Problem | None = None
    """What is wrong with the directory of a broken one."""
    step: int = 0
    total: int | None = None
    reason: Reason | None = None
    heard: float = 0.0
    """Unix time of the last sign of life."""
    begun: float = 0.0
    """Unix time at which the directory was made."""
    host: str | None = None
    """The machine it runs on; None for this one."""
    job_id: str | None = None
    checkpoint: bool = False
    """Whether it has ended and left one."""
    margin: float | None = None
    accuracy: float | None = None
    curve: Curve = field(default_factory=Curve)

    @property
    def name(self) -> str:
        """The run's name, unsanitized."""
        return self.root.name

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.state != "broken" and self.state not in FINAL


class RunList:
    """All runs of a directory, and some from elsewhere. Used by one thread at a time."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._final: dict[Path, tuple[Signature, RunRow]] = {}
        self._curves: dict[Path, tuple[Signature, Curve]] = {}

    def read(self, elsewhere: Iterable[Path] = ()) -> list[RunRow]:
        """How each run stands, with the curve last read of it: the live ones first, then the latest.

        Raises UsageError for a directory that cannot be read.
        """
        roots = dict.fromkeys([*run_like(self._runs_dir), *(root for root in elsewhere if is_run(root))])
        rows = [self._with_curve(self._row(root)) for root in roots]
        return sorted(rows, key=_rank)

    def read_curves(self, rows: Iterable[RunRow]) -> Iterator[RunRow]:
        """Those of `rows` whose curves have changed, with the new ones."""
        for row in rows:
            signature = _signature(RunDir(row.root).events)
            if self._curves.get(row.root, ((), None))[0] != signature:
                self._curves[row.root] = signature, read_curve(RunDir(row.root).events)
                yield self._with_curve(row)

    def _row(self, root: Path) -> RunRow:
        run = RunDir(root)
        signature = _signature(run.config, run.status_json, run.summary_json, run.job_json)
        known = self._final.get(root)
        if known is not None and known[0] == signature:
            return known[1]
        row = _read_row(run)
        if not row.live and read_final(run) is not None:
            self._final[root] = signature, row  # only a change of its files can change it now
        return row

    def _with_curve(self, row: RunRow) -> RunRow:
        _, curve = self._curves.get(row.root, ((), None))
        if curve is None or not curve.points or row.state == "broken":
            return row
        return replace(
            row,
            curve=curve,
            margin=row.margin if curve.margin is None else curve.margin,
            accuracy=row.accuracy if curve.accuracy is None else curve.accuracy,
        )


def run_like(runs_dir: Path) -> list[Path]:
    """Directories of runs, and what is left of some. Raises UsageError."""
    try:
        entries = sorted(runs_dir.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        text = f"{runs_dir}: {error.strerror}: --runs names another directory"
        raise UsageError("runs.unreadable", text, runs_dir=str(runs_dir), detail=error.strerror) from error
    return [entry for entry in entries if is_run(entry) or is_rest(entry)]


def is_rest(root: Path) -> bool:
    """Whether a directory was a run's, and has lost its config."""
    run = RunDir(root)
    traces = (run.status_json, run.run_json, run.events, run.checkpoints_dir)
    return not root.name.startswith(".") and not is_run(root) and any(map(os.path.exists, traces))


def _read_row(run: RunDir) -> RunRow:
    begun = _changed(run.config)
    if not is_run(run.root):
        return RunRow(root=run.root, state="broken", problem="no_config", heard=_changed(run.root))
    if os.path.exists(run.status_json) and read_status(run.status_json) is None:
        return RunRow(root=run.root, state="broken", problem="bad_status", heard=begun, begun=begun)
    status = effective_state(run, QUEUE_SECONDS)
    record = read_record(run.run_json)
    margin, accuracy = _summarised(run) if status.final else (None, None)
    return RunRow(
        root=run.root,
        state=status.state,
        step=status.step,
        total=status.total,
        reason=status.reason,
        heard=status.heartbeat or begun,
        begun=begun,
        host=_elsewhere(record),
        job_id=_job_id(run, record),
        checkpoint=status.final and has_checkpoint(run),
        margin=margin,
        accuracy=accuracy,
    )


def _job_id(run: RunDir, record: RunRecord | None) -> str | None:
    """The job that carries the run, or waits to; that of the newest attempt."""
    job = current_job(run)
    return job.id if job is not None else record.job_id if record is not None else None


def _elsewhere(record: RunRecord | None) -> str | None:
    return record.host if record is not None and record.host != socket.gethostname() else None


def _summarised(run: RunDir) -> tuple[float | None, float | None]:
    """Margin and accuracy at the end of the training, as the summary has them."""
    train = (read_json(run.summary_json) or {}).get("train")
    values = train if isinstance(train, dict) else {}
    return number(values.get("rewards/margins")), number(values.get("rewards/accuracies"))


def _rank(row: RunRow) -> tuple[bool, float, str]:
    """Live runs by when they began: each is heard of all the time, and none shall jump about."""
    return not row.live, -(row.begun if row.live else row.heard), row.name


def _signature(*paths: Path) -> Signature:
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
