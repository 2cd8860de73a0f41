"""Several runs side by side: what came out of each, and in which keys their configs differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dpo_tui.follow import Follower
from dpo_tui.metrics.history import History
from dpo_tui.metrics.numbers import NONE, duration, short, signed
from dpo_tui.metrics.trend import last_of
from dpo_tui.text import t
from engine.rundir.paths import RunDir
from engine.sanitize import one_line

Row = tuple[str, tuple[str, ...]]
"""What is compared, and its value in each run."""


@dataclass(frozen=True, slots=True)
class ConfigDifferences:
    """Rows of dotted keys with their values, and the runs whose config could not be read."""

    rows: list[Row] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def values(runs: Sequence[Follower]) -> list[Row]:
    """What came of each run so far; rows that no run can fill are left out."""
    found = {name: tuple(told(run.history) for run in runs) for name, told in _VALUES}
    telling = (name for name, row in found.items() if not {*row} <= {NONE, _USUAL.get(name)})
    return [(t(f"compare.value.{name}"), found[name]) for name in telling]


def config_differences(roots: Sequence[Path]) -> ConfigDifferences:
    """The keys in which any of the configs differs from the first readable one; a key without a value is "–"."""
    from engine.config.load import differences, load_config
    from engine.exits import UsageError

    configs, unreadable = {}, []
    for place, root in enumerate(roots):
        try:
            configs[place] = load_config(RunDir(root).config).config
        except (UsageError, OSError):
            unreadable.append(one_line(root.name))
    if not configs:
        return ConfigDifferences([], unreadable)
    first = min(configs)
    found: dict[str, dict[int, str]] = {}
    for place, config in configs.items():
        for key, here, there in differences(configs[first], config):
            found.setdefault(key, dict.fromkeys(configs, one_line(here)))[place] = one_line(there)
    rows = [(key, tuple(told.get(place, NONE) for place in range(len(roots)))) for key, told in found.items()]
    return ConfigDifferences(rows, unreadable)


def _steps(history: History) -> str:
    return f"{history.step}/{history.total}" if history.total is not None else str(history.step)


def _best(history: History) -> str:
    steps, losses = history.eval_series("loss")
    if not len(losses) or np.isnan(losses).all():
        return NONE
    best = int(np.nanargmin(losses))
    return t("compare.best", value=short(float(losses[best])), step=int(steps[best]))


def _time(history: History) -> str:
    return duration(history.training_seconds) if history.training_seconds else NONE


def _last(metric: str) -> Callable[[History], str]:
    return lambda history: short(history.last(metric))


def _signed(metric: str) -> Callable[[History], str]:
    return lambda history: signed(history.last(metric))


_VALUES: tuple[tuple[str, Callable[[History], str]], ...] = (
    ("step", _steps),
    ("loss", _last("loss")),
    ("eval_loss", lambda history: short(last_of(history.eval_series("loss")[1]))),
    ("best", _best),
    ("margin", _last("rewards/margins")),
    ("accuracy", _last("rewards/accuracies")),
    ("chosen", _signed("rewards/chosen")),
    ("rejected", _signed("rewards/rejected")),
    ("speed", _last("pairs_per_second")),
    ("memory", _last("memory_gib")),
    ("time", _time),
    ("attempts", lambda history: str(history.attempt)),
)

_USUAL = {"attempts": "1"}
"""Values that are worth a row only beside others."""
