"""Run directories as trainings leave them, without any training: the same every time, down to the byte.

Their clock stands at `NOW`: a test that draws ages or durations holds `dpo_tui.clock.now` there.
"""

import json
import math
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.process import ProcessId
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.files import plain
from engine.rundir.paths import RunDir
from engine.rundir.status import Reason, RunRecord, State, Status, write_record, write_status
from engine.rundir.summary import write_summary
from tests.fake_engine import CONFIG

NOW = 1_764_000_000.0
SECONDS_A_STEP = 2.0
LOG = "300 rows: 281 pairs to train on, 15 to evaluate on\n"
"""What its processes print when nothing is out of the ordinary."""

GONE = ProcessId(os.getpid(), -5.0)
"""A supervisor that is no more."""

Event = dict[str, Any]
Curve = Callable[[int, int], Event]
"""The metrics of a step, by the step and the number of all steps."""

OUT_OF_MEMORY = Reason(
    "train.out_of_memory",
    "out of memory: CUDA out of memory. Tried to allocate 2.00 GiB. Lower train.tokens_per_pack, or set "
    "train.gradient_checkpointing = true",
    {"detail": "CUDA out of memory. Tried to allocate 2.00 GiB"},
)
_REFUSED = "packs are not used: the model's own attention cannot keep pairs apart"
SLOW_MODE: Event = {
    "code": "policy.mode",
    "text": _REFUSED,
    "params": {"mode": "single", "reason": _REFUSED},
}
_EXIT_CODES: dict[State | None, int] = {"done": 0, "failed": 1, "stopped": 5}


def healthy(step: int, total: int) -> Event:
    """A training that learns: the margin grows, the loss falls, the chosen log-probabilities hold."""
    way = step / max(1, total)
    learned, wobble = 1 - math.exp(-4 * way), 0.06 * math.sin(step * 2.4)
    margin = 2.4 * learned + 4 * wobble * learned
    chosen = 0.35 * margin
    return {
        "epoch": round(way, 6),
        "loss": 0.693 - 0.42 * learned + wobble,
        "rewards/chosen": chosen,
        "rewards/rejected": chosen - margin,
        "rewards/margins": margin,
        "rewards/accuracies": min(1.0, 0.5 + 0.42 * learned + wobble),
        "logps/chosen": -182.0 + 2 * learned + 10 * wobble,
        "logps/rejected": -201.0 - 16 * learned + 10 * wobble,
        "pairs_per_second": 5.1 + wobble,
        "tokens_per_second": 9800.0 + 1000 * wobble,
        "memory_gib": 11.2,
        "grad_norm": 0.9 + 5 * wobble,
        "learning_rate": 5e-7 * min(1.0, 10 * way) * (0.5 + 0.5 * math.cos(math.pi * way)),
    }


@dataclass(frozen=True, slots=True)
class Preparing:
    """A run that has not begun to train: the phase it is in, and how far that is."""

    phase: str = "tokenize"
    done: int = 6_300
    total: int | None = 40_000


def make_run(
    runs_dir: Path,
    name: str = "zephyr-7b-orpo",
    state: State | None = "done",
    *,
    steps: int | None = None,
    total: int = 100,
    preparing: Preparing | None = None,
    events: bool = True,
    save_every: int = 40,
    warnings: Sequence[Event] = (),
    reason: Reason | None = None,
    host: str | None = None,
    live: bool | None = None,
    launcher: str = "local",
    job_id: str | None = None,
    heard: float = NOW,
    curve: Curve = healthy,
    config: str = CONFIG,
    log: str | None = None,
) -> RunDir:
    """A run `name` in `runs_dir`: every file of it, as its engine and its supervisor write them.

    state: what `status.json` says; None: the supervisor has not written it yet.
    steps: steps trained, by default all of `total`, and 60 % of them where the run has not ended.
    preparing: it stands in a phase before training. `events=False`: nothing was heard from its ranks.
    host: another machine's name. live: its supervisor runs (this process), by default in a state that is not final.
    heard: Unix time of the last event and of the heartbeat.
    curve: the metrics of a step; `healthy` is a training as one wishes it.
    """
    run = RunDir(runs_dir.absolute() / name)
    run.root.mkdir(parents=True)
    run.config.write_text(f'[run]\nname = "{name}"\ndir = "{run.root.parent}"\n{config}', encoding="utf-8")
    ended = state in _EXIT_CODES
    trained = (
        0 if preparing or not events else steps if steps is not None else total if ended else total * 3 // 5
    )
    story = _story(run, state, trained, total, preparing, save_every, warnings, curve)
    if events:
        write_events(run, list(story), heard)
    run.train_log.write_text(log if log is not None else LOG, encoding="utf-8")
    os.utime(run.train_log, (heard - 1e5, heard - 1e5))  # before the first event
    alive = (not ended and state is not None) if live is None else live
    write_record(run.run_json, _record(GONE if not alive else ProcessId.own(), host, launcher, job_id))
    if state is not None:
        reason = reason if reason or state != "stopped" else _stopped(trained, total)
        _conclude(run, state, reason, heard, trained, total)
    return run


def _conclude(
    run: RunDir, state: State, reason: Reason | None, heard: float, trained: int, total: int
) -> None:
    """The status of a run and, where it has ended, its summary."""
    status = Status(
        state=state,
        exit_code=_EXIT_CODES.get(state),
        reason=reason,
        heartbeat=heard,
        step=trained,
        total=total if trained else None,
    )
    write_status(run.status_json, status)
    if status.final:
        write_summary(run, status, since=0, seconds=trained * SECONDS_A_STEP + 52)


def write_events(run: RunDir, events: Sequence[Event], heard: float = NOW) -> None:
    """Append events, the last of them written at `heard`, each `after` seconds later than the one before it."""
    times, time = [], heard
    for event in reversed(events):
        times.append(time)
        time -= event.get("after", 0.0)
    lines = []
    for event, time in zip(events, reversed(times), strict=True):
        content = {key: value for key, value in event.items() if key != "after"}
        lines.append(json.dumps(plain({"v": 1, "time": round(time, 3), **content})) + "\n")
    with run.events.open("a", encoding="utf-8") as file:
        file.writelines(lines)


def step_event(step: int, total: int = 100, curve: Curve = healthy) -> Event:
    """The event of a step."""
    return {"type": "step", "step": step, **curve(step, total), "after": SECONDS_A_STEP}


def phase(
    name: str, state: str, done: int | None = None, total: int | None = None, after: float = 0.0
) -> Event:
    """An event of a phase."""
    return {"type": "phase", "phase": name, "state": state, "done": done, "total": total, "after": after}


def _story(
    run: RunDir,
    state: State | None,
    trained: int,
    total: int,
    preparing: Preparing | None,
    save_every: int,
    warnings: Sequence[Event],
    curve: Curve,
) -> Iterator[Event]:
    """All events of a run, in order."""
    for name, seconds in (("tokenize", 12.0), ("download", 8.5), ("reference", 31.0)):
        yield phase(name, "start")
        if preparing is not None and preparing.phase == name:
            yield phase(name, "progress", preparing.done, preparing.total, after=seconds / 4)
            return
        if name == "tokenize":
            report = {"rows": 300, "train": 281, "eval": 15, "kept": 296, "dropped": {}, "cut": {}}
            yield {"type": "data", "report": report, "after": seconds / 2}
        yield phase(name, "end", after=seconds / 2)
    yield phase("train", "start", 0, total)
    for step in range(1, trained + 1):
        yield step_event(step, total, curve)
        if step == (trained + 1) // 2:
            yield from ({"type": "warning", **warning} for warning in warnings)
        if step % save_every == 0 or (step == trained and state in ("done", "stopped")):
            yield from _saved(run, step, total, curve)
    if state == "done":
        yield phase("train", "end", total, total)
        yield {
            "type": "end",
            "exit_code": 0,
            "code": "run.done",
            "params": {},
            "text": "all steps are trained",
        }


def _saved(run: RunDir, step: int, total: int, curve: Curve) -> Iterator[Event]:
    """An evaluation and a checkpoint, which is there when the events are."""
    names = ("loss", "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies")
    measured = {name: curve(step, total)[name] for name in names}
    measured["loss"] += 0.02
    index = CheckpointIndex(run.checkpoints_dir)
    (index.staging(step) / "model.safetensors").write_bytes(bytes([step % 256]) * 1000)
    path = index.commit(
        step,
        epoch=step / total,
        metrics={f"eval_{name}": value for name, value in measured.items()},
        config_digest="c",
        data_digest="d",
        model_digest="m",
        world_size=1,
        versions={},
    )
    yield phase("eval", "start")
    yield {"type": "eval", "step": step, **measured, "after": 3.0}
    yield phase("eval", "end")
    yield phase("save", "start")
    saved = {"step": step, "path": str(path), "seconds": 1.2, "bytes": 2_900_000_000, "verified": True}
    yield {"type": "save", **saved, "after": 1.2}
    yield phase("save", "end")


def _record(supervisor: ProcessId, host: str | None, launcher: str, job_id: str | None) -> RunRecord:
    return RunRecord(
        id="0123456789abcdef",
        pid=supervisor.pid,
        start_time=supervisor.start_time,
        owner=None,
        host=host or socket.gethostname(),
        launcher=launcher,
        job_id=job_id,
        argv=["python", "-P", "-m", "engine", "run"],
    )


def _stopped(step: int, total: int) -> Reason:
    text = f"stopped after step {step} of {total}; its checkpoint is saved"
    return Reason("run.stopped", text, {"step": step, "total": total})
