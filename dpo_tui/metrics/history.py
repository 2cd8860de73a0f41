"""A run's events folded into what screens show: curves, phases, checkpoints, warnings, time left."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dpo_tui.metrics.phases import Phase, Phases
from dpo_tui.metrics.records import Evaluation, RunWarning, Save, moment
from dpo_tui.metrics.scalars import number, whole
from dpo_tui.metrics.stopwatch import Stopwatch
from dpo_tui.metrics.table import Steps, Table, Values
from dpo_tui.metrics.trend import last_of, trend_of

NO_METRICS = frozenset({"v", "type", "step", "sources"})
"""Keys of a `step` or `eval` event that hold no number over the steps."""

NO_CURVES = frozenset({"time", "epoch"})
"""Columns that are kept and not drawn."""

MAX_SOURCES = 64
MAX_WARNINGS = 500

SPEED_ROWS = 50
"""Intervals between step events that tell the present speed. Their median passes over evaluations and saves."""


class History:
    """Takes events in the order of the file, any number at a time, and never fails on one.

    After a `resume` the steps, evaluations and saves beyond its `from_step` are forgotten. Arrays that it hands
    out are views, good until the next `take`.
    """

    def __init__(self) -> None:
        self.version = 0
        self._empty()

    def _empty(self) -> None:
        self._steps = Table(NO_METRICS)
        self._evals = Table(NO_METRICS)
        self._by_source: dict[str, Table] = {}
        self._phases = Phases()
        self._training = Stopwatch()
        self._warnings: dict[tuple[str, str], RunWarning] = {}
        self._saves: dict[int, Save] = {}
        self._attempt_row = 0
        self.attempt = 1
        self.from_step = 0
        self.total: int | None = None
        self.report: Mapping[str, Any] | None = None
        self.gates: Mapping[str, Any] | None = None
        self.export: Mapping[str, Any] | None = None
        self.end: Mapping[str, Any] | None = None
        self.first_time: float | None = None
        self.last_time: float | None = None
        self._handlers: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "phase": self._take_phase,
            "eval": self._take_eval,
            "save": self._take_save,
            "warning": self._take_warning,
            "resume": self._take_resume,
            "data": self._take_report,
            "gates": self._take_gates,
            "export": self._take_export,
            "end": self._take_end,
        }

    def reset(self) -> None:
        """Forget everything: the file started anew."""
        self._empty()
        self.version += 1

    def take(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Fold in what happened next."""
        batch = list(events)
        pending: list[Mapping[str, Any]] = []
        for event in batch:
            kind = event.get("type")
            if kind == "step":
                pending.append(event)
            elif isinstance(kind, str) and (handler := self._handlers.get(kind)) is not None:
                self._take_steps(pending)
                pending = []
                handler(event)
        self._take_steps(pending)
        self._take_times(batch)
        self.version += bool(batch)

    # Curves

    def series(self, name: str) -> tuple[Steps, Values]:
        """Steps, and the values of a metric at them: NaN where it was absent."""
        return self._steps.steps, self._steps.column(name)

    def eval_series(self, name: str) -> tuple[Steps, Values]:
        """The same of the held-out pairs; names are those of the steps' metrics."""
        return self._evals.steps, self._evals.column(name)

    def source_series(self, source: str, name: str) -> tuple[Steps, Values]:
        """The same of one source's pairs."""
        table = self._by_source.get(source, Table())
        return table.steps, table.column(name)

    def names(self) -> list[str]:
        """The metrics that steps reported so far."""
        return [name for name in self._steps.names() if name not in NO_CURVES]

    def eval_names(self) -> list[str]:
        """The metrics that evaluations reported so far."""
        return [name for name in self._evals.names() if name not in NO_CURVES]

    def sources(self) -> list[str]:
        """The sources that report for themselves; none where there is one only."""
        return list(self._by_source)

    def last(self, name: str) -> float | None:
        """The latest value of a metric."""
        return last_of(self._steps.column(name))

    def trend(self, name: str) -> int:
        """1 when a metric rose of late, -1 when it fell, 0 when nothing is certain."""
        return trend_of(self._steps.column(name))

    # Where it stands

    @property
    def step(self) -> int:
        """Updates completed."""
        return max(self.from_step, int(self._steps.steps[-1]) if len(self._steps) else 0)

    @property
    def epoch(self) -> float | None:
        """Passes over the data so far."""
        return self.last("epoch")

    @property
    def phases(self) -> list[Phase]:
        """The phases of this attempt, in order of appearance; evaluations and saves once each, as they are now."""
        return self._phases.listed()

    @property
    def current_phase(self) -> Phase | None:
        """The innermost phase that goes on."""
        return self._phases.current

    @property
    def warnings(self) -> list[RunWarning]:
        """In order of first appearance."""
        return list(self._warnings.values())

    @property
    def saves(self) -> list[Save]:
        """By ascending step."""
        return [self._saves[step] for step in sorted(self._saves)]

    @property
    def evals(self) -> list[Evaluation]:
        """By ascending step."""
        times = self._evals.column("time")
        columns = {name: self._evals.column(name) for name in self.eval_names()}
        return [
            Evaluation(
                int(step),
                float(times[row]) if np.isfinite(times[row]) else None,
                {name: float(values[row]) for name, values in columns.items() if np.isfinite(values[row])},
            )
            for row, step in enumerate(self._evals.steps)
        ]

    @property
    def trained(self) -> bool:
        """Whether the last step is done."""
        return self.total is not None and self.step >= self.total

    @property
    def training_seconds(self) -> float:
        """How long it has trained, with evaluations and saves, in all its attempts."""
        return self._training.seconds

    def seconds_per_step(self) -> float | None:
        """The present speed, evaluations and saves left out where they are rarer than every other event."""
        first = max(self._attempt_row, len(self._steps) - SPEED_ROWS - 1)
        steps, times = self._steps.steps[first:], self._steps.column("time")[first:]
        if len(steps) < 2:
            return None
        paces = np.diff(times) / np.diff(steps)
        paces = paces[paces > 0]
        return float(np.median(paces)) if len(paces) else None

    def eta_seconds(self) -> float | None:
        """Seconds of training left, counted from the last step event; None when nothing tells."""
        pace = self.seconds_per_step()
        return None if pace is None or self.total is None else max(0, self.total - self.step) * pace

    # What each type of event means

    def _take_steps(self, events: list[Mapping[str, Any]]) -> None:
        events = [event for event in events if whole(event.get("step")) is not None]
        if not events:
            return
        self._begin_again()
        self._training.note(moment(events[-1]))
        steps = [event["step"] for event in events]
        self._steps.append(steps, events)
        self._attempt_row = min(self._attempt_row, len(self._steps))
        if any("sources" in event for event in events):
            self._take_sources(steps, events)

    def _take_sources(self, steps: list[int], events: list[Mapping[str, Any]]) -> None:
        told: dict[str, tuple[list[int], list[Mapping[str, Any]]]] = {}
        for step, event in zip(steps, events, strict=True):
            sources = event.get("sources")
            for name, values in sources.items() if isinstance(sources, dict) else ():
                if isinstance(values, dict) and (name in told or len(told) < MAX_SOURCES):
                    at, rows = told.setdefault(name, ([], []))
                    at.append(step)
                    rows.append(values)
        for name, (at, rows) in told.items():
            if name in self._by_source or len(self._by_source) < MAX_SOURCES:
                self._by_source.setdefault(name, Table(NO_METRICS)).append(at, rows)

    def _take_eval(self, event: Mapping[str, Any]) -> None:
        step = whole(event.get("step"))
        if step is not None:
            self._evals.append([step], [event])

    def _take_save(self, event: Mapping[str, Any]) -> None:
        step = whole(event.get("step"))
        if step is not None:
            path = event.get("path")
            self._saves[step] = Save(
                step=step,
                time=moment(event),
                path=path if isinstance(path, str) else "",
                seconds=number(event.get("seconds")),
                bytes=whole(event.get("bytes"), most=2**63),
                verified=event.get("verified") is True,
            )

    def _take_warning(self, event: Mapping[str, Any]) -> None:
        code, text, params = event.get("code"), event.get("text"), event.get("params")
        if not isinstance(code, str):
            return
        params = params if isinstance(params, dict) else {}
        key = (code, json.dumps(params, sort_keys=True, default=str))
        if key in self._warnings:
            before = self._warnings[key]
            self._warnings[key] = replace(before, time=moment(event), count=before.count + 1)
        elif len(self._warnings) < MAX_WARNINGS:
            self._warnings[key] = RunWarning(
                moment(event), code, params, text if isinstance(text, str) else ""
            )

    def _take_phase(self, event: Mapping[str, Any]) -> None:
        if event.get("state") == "start":
            self._begin_again()
        self._training.take(event, moment(event))
        self._phases.take(event, moment(event))
        train = self._phases.get("train")
        if train is not None and train.total is not None:
            self.total = train.total

    def _take_resume(self, event: Mapping[str, Any]) -> None:
        self._begin_again()
        self.attempt = whole(event.get("attempt"), most=10**6) or self.attempt + 1
        from_step = whole(event.get("from_step"))
        if from_step is not None:
            self.from_step = from_step
            for table in (self._steps, self._evals, *self._by_source.values()):
                table.forget(from_step)
            self._saves = {step: save for step, save in self._saves.items() if step <= from_step}
        self._attempt_row = len(self._steps)

    def _take_report(self, event: Mapping[str, Any]) -> None:
        report = event.get("report")
        self.report = report if isinstance(report, dict) else None

    def _take_gates(self, event: Mapping[str, Any]) -> None:
        self.gates = event

    def _take_export(self, event: Mapping[str, Any]) -> None:
        self.export = event

    def _take_end(self, event: Mapping[str, Any]) -> None:
        self.end = event
        self._training.end(moment(event))
        self._phases.end(moment(event))

    def _begin_again(self) -> None:
        """What an attempt ended with is no longer so when another goes on."""
        self.end = None

    def _take_times(self, batch: list[Mapping[str, Any]]) -> None:
        if self.first_time is None:
            self.first_time = next(filter(None, map(moment, batch)), None)
        self.last_time = next(filter(None, map(moment, reversed(batch))), self.last_time)
