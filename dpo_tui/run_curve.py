"""A run's curve at a glance, out of a few kilobytes of its events however many there are."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from dpo_tui.metrics.phases import Phase, Phases
from engine.rundir.events import step_of
from engine.rundir.files import number
from engine.rundir.tail import parse

READ_BYTES = 64 * 1024
"""Most bytes read of a file of events."""

_END_BYTES = 16 * 1024
_BLOCK_BYTES = 4 * 1024
_RECENT = 30
"""Steps that the speed is taken from."""

_NOTICEABLE = 0.02
"""Share of a curve's range below which a change is no trend."""


@dataclass(frozen=True, slots=True)
class Point:
    """One step event's numbers; None where it has none."""

    step: int
    time: float
    loss: float | None
    margin: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a run in ascending order of steps: from all of it, and all of its end."""

    points: Sequence[Point] = field(default_factory=tuple)
    phase: Phase | None = None
    """What goes on since the last step; None where nothing has begun since."""

    @property
    def margin(self) -> float | None:
        """The last margin."""
        return next((point.margin for point in reversed(self.points) if point.margin is not None), None)

    @property
    def accuracy(self) -> float | None:
        """The last accuracy."""
        return next((point.accuracy for point in reversed(self.points) if point.accuracy is not None), None)

    def margins(self) -> list[float]:
        """All margins."""
        return [point.margin for point in self.points if point.margin is not None]

    def losses(self) -> list[float]:
        """All losses."""
        return [point.loss for point in self.points if point.loss is not None]

    def trend(self) -> int:
        """1 where the margin has risen lately, -1 where it has fallen, else 0."""
        values = self.margins()
        part = len(values) // 5
        if part == 0:
            return 0
        change = _mean(values[-part:]) - _mean(values[-2 * part : -part])
        noticeable = _NOTICEABLE * (max(values) - min(values))
        return 0 if abs(change) <= noticeable else 1 if change > 0 else -1

    def seconds_left(self, total: int | None) -> float | None:
        """Seconds until step `total` at the speed of the last steps."""
        recent = self.points[-_RECENT:]
        if total is None or len(recent) < 2:
            return None
        steps, seconds = recent[-1].step - recent[0].step, recent[-1].time - recent[0].time
        return (total - recent[-1].step) * seconds / steps if steps > 0 and seconds > 0 else None


def read_curve(path: Path) -> Curve:
    """The curve in a file of events; empty where there is none."""
    points: list[Point] = []
    phases = Phases()
    try:
        with path.open("rb") as file:
            for event in _sampled(file):
                _take(points, event)
                if event["type"] == "step":  # what had begun before is over, even where its end was left out
                    phases = Phases()
                elif event["type"] == "phase":
                    phases.take(event, None)
    except OSError:
        return Curve()
    return Curve(tuple(points), phases.current)


def _sampled(file: BinaryIO) -> Iterator[dict[str, Any]]:
    """The events of blocks spread over the file, and of its end."""
    size = file.seek(0, os.SEEK_END)
    if size <= READ_BYTES:
        yield from _events(file, 0, size)
        return
    blocks = (READ_BYTES - _END_BYTES) // _BLOCK_BYTES
    for block in range(blocks):
        start = (size - _END_BYTES - _BLOCK_BYTES) * block // (blocks - 1)
        yield from _events(file, start, start + _BLOCK_BYTES)
    yield from _events(file, size - _END_BYTES, size)


def _events(file: BinaryIO, start: int, end: int) -> Iterator[dict[str, Any]]:
    """The events whose whole lines lie between two offsets."""
    file.seek(start)
    lines = file.read(end - start).split(b"\n")
    for line in lines[1 if start else 0 : -1]:
        if (event := parse(line)) is not None:
            yield event


def _take(points: list[Point], event: dict[str, Any]) -> None:
    """Add a step; one that lies behind takes back those after it, as a resume does."""
    step = step_of(event)
    match event:
        case {"type": "resume", "from_step": int(from_step)}:
            _forget(points, from_step)
        case {"type": "step"} if step is not None:
            _forget(points, step - 1)
            points.append(
                Point(
                    step,
                    number(event.get("time")) or 0.0,
                    number(event.get("loss")),
                    number(event.get("rewards/margins")),
                    number(event.get("rewards/accuracies")),
                )
            )
        case _:
            pass


def _forget(points: list[Point], step: int) -> None:
    while points and points[-1].step > step:
        points.pop()


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
