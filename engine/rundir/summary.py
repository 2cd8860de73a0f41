"""What came out of a run (`summary.json`): what a CI job, the model card and the list of runs read."""

import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import forget, read_events, step_of
from engine.rundir.files import write_json
from engine.rundir.manifest import UnreadableManifestError
from engine.rundir.paths import RunDir
from engine.rundir.status import Status

VERSION = 1
PACKAGES = ("dpo-tui", "torch", "transformers", "accelerate", "datasets", "peft", "safetensors", "deepspeed")

_NO_METRICS = frozenset({"v", "time", "type"})


@dataclass(slots=True)
class Outcome:
    """Events folded into what is left of them at the end; a `resume` takes back what it undoes."""

    train: dict[str, Any] | None = None
    evals: list[dict[str, Any]] = field(default_factory=list)
    gates: dict[str, Any] | None = None
    export: str | None = None
    attempts: int = 1

    def add(self, event: dict[str, Any]) -> None:
        """Take in the next event."""
        match event["type"]:
            case "step" if step_of(event) is not None:
                self.train = event
            case "eval" if step_of(event) is not None:
                self.evals.append(event)
            case "gates":
                self.gates = event
            case "export":
                self.export = str(event.get("path"))
            case "resume":
                self.attempts += 1
                self.gates = None
                self.evals = forget(self.evals, event)
                if self.train is not None and not forget([self.train], event):
                    self.train = None

    def best_eval(self) -> dict[str, Any] | None:
        """The eval event with the smallest loss, the first of equals."""
        measured = [event for event in self.evals if isinstance(event.get("loss"), int | float)]
        return min(measured, key=lambda event: float(event["loss"]), default=None)


def write_summary(run: RunDir, status: Status, *, since: int, seconds: float) -> None:
    """Write `summary.json` for a run that ended as `status` says. Raises CannotWriteError.

    `since` is the offset in the events file at which this attempt began and `seconds` its duration: the
    durations are those of this attempt, everything else is of the whole run.
    """
    outcome = Outcome()
    for event in read_events(run.events):
        outcome.add(event)
    phases = phase_seconds(read_events(run.events, since))
    summary = {
        "v": VERSION,
        "run": run.name,
        "state": status.state,
        "exit_code": status.exit_code,
        "reason": asdict(status.reason) if status.reason else None,
        "steps": status.step,
        "total_steps": status.total,
        "attempts": outcome.attempts,
        "train": _metrics(outcome.train),
        "eval": {
            "final": _metrics(outcome.evals[-1] if outcome.evals else None),
            "best": _metrics(outcome.best_eval()),
        },
        "gates": _metrics(outcome.gates),
        "checkpoints": _checkpoints(run),
        "durations": {"total": round(seconds, 3), "phases": phases},
        "export": outcome.export,
        "versions": versions(),
    }
    write_json(run.summary_json, summary)


def phase_seconds(events: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Seconds spent in each phase; one that never ended lasts until the last event. Phases may nest."""
    seconds: dict[str, float] = {}
    started: dict[str, float] = {}
    now = 0.0
    for event in events:
        now = event["time"] if isinstance(event.get("time"), int | float) else now
        phase = event.get("phase")
        if event["type"] != "phase" or not isinstance(phase, str):
            continue
        if event.get("state") == "start":
            started[phase] = now
        elif event.get("state") == "end" and phase in started:
            seconds[phase] = seconds.get(phase, 0.0) + now - started.pop(phase)
    for phase, start in started.items():
        seconds[phase] = seconds.get(phase, 0.0) + now - start
    return {phase: round(spent, 3) for phase, spent in seconds.items()}


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape a result, read without importing any of them."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _metrics(event: dict[str, Any] | None) -> dict[str, Any] | None:
    return event and {key: value for key, value in event.items() if key not in _NO_METRICS}


def _checkpoints(run: RunDir) -> dict[str, Any]:
    index = CheckpointIndex(run.checkpoints_dir)
    found = {"latest": index.latest(), "best": index.best()}
    return {which: None if step is None else _checkpoint(run, index, step) for which, step in found.items()}


def _checkpoint(run: RunDir, index: CheckpointIndex, step: int) -> dict[str, Any]:
    try:
        metrics = index.manifest(step).metrics
    except UnreadableManifestError:
        metrics = {}
    return {"step": step, "path": str(index.path(step).relative_to(run.root)), "metrics": metrics}
