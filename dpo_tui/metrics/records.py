"""What a run tells of beside numbers over its steps: warnings, checkpoints, evaluations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dpo_tui.metrics.scalars import number


@dataclass(frozen=True, slots=True)
class RunWarning:
    """Something the engine warned of. `count`: how often, with the same params; `time` of the latest."""

    time: float | None
    code: str
    params: Mapping[str, Any]
    text: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Save:
    """A checkpoint, as announced; it may have been pruned since."""

    step: int
    time: float | None
    path: str
    seconds: float | None
    bytes: int | None
    verified: bool


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The metrics of the held-out pairs after `step`."""

    step: int
    time: float | None
    metrics: Mapping[str, float] = field(default_factory=dict)


def moment(event: Mapping[str, Any]) -> float | None:
    """The event's Unix time, if it has one that a calendar holds."""
    time = number(event.get("time"))
    return time if time is not None and 0 < time < 2**34 else None
