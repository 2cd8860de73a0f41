"""What a run's curves mean in preference training: the things somebody who has seen many would point at.

Each check looks at a `History` and finds one thing, or nothing. It is about the run as it is now: what has passed
is not repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import log
from typing import Any, Literal

import numpy as np

from dpo_tui.metrics.history import History
from dpo_tui.metrics.numbers import short
from dpo_tui.metrics.table import Steps, Values
from dpo_tui.text import t

CHANCE = log(2)
"""Loss where the policy prefers neither answer: -log sigmoid(0)."""

STUCK_STEPS = 50
STUCK_WITHIN = 0.005
"""The loss has not left chance when its mean over so many steps lies so near."""

EASY_SHARE = 0.1
EASY_ACCURACY = 0.995
EASY_LOSS = 0.05
EASY_ROWS = 5
"""Everything right at almost no loss within the first tenth: there was nothing to learn, or it was learned by force."""

UNLEARNED_NATS = 10.0
"""A good answer that became e^10 times less likely was not spared."""

SPIKE_TIMES = 5.0
SPIKE_ROWS = 100
SPIKES = 3
SPIKE_BEFORE = 20
SPIKE_LOSS = 0.01
"""So many gradient norms beyond so many times the median of those before them, among so many rows.

A norm that falls with the loss is no spike where it was higher; below this loss there is nothing left to be unstable.
"""

FALLING_ROWS = 40
FALLING_SHARE = 0.15
"""Of its level before, by which the margin's last quarter lies lower."""

OVERFIT_EVALS = 2
OVERFIT_SHARE = 0.03
"""Evaluations since the best one, and by how much of it the loss has risen since."""

SLOW_TIMES = 2.0
SLOW_ROWS = 10
"""The speed of the last rows against that of all before."""

GROWING_ROWS = 60
GROWING_SHARE = 0.05
"""By which the peak of memory grew in each of the last two quarters."""

CERTAINTY = 3.0
"""Standard errors that a difference must exceed."""

_ENDS = 0.1
"""Share of the rows that counts as the beginning, and as now."""


@dataclass(frozen=True, slots=True)
class Insight:
    """One thing worth knowing. `params` are ready to be read."""

    code: str
    params: dict[str, Any] = field(default_factory=dict)
    severity: Literal["note", "warning"] = "warning"

    @property
    def text(self) -> str:
        """What is so, in a sentence."""
        return t(f"insight.{self.code}", **self.params)

    @property
    def advice(self) -> str:
        """What it means and what to do."""
        return t(f"insight.{self.code}.advice")


def insights(history: History) -> list[Insight]:
    """All there is to say, the gravest first."""
    found = [insight for check in CHECKS if (insight := check(history)) is not None]
    return sorted(found, key=lambda insight: insight.severity == "note")


def stuck(history: History) -> Insight | None:
    """The loss stays where it began, though the learning rate rises no more."""
    steps, loss = _curve(history, "loss")
    if len(steps) < 3 or steps[-1] - steps[0] < STUCK_STEPS:
        return None
    recent = steps > steps[-1] - STUCK_STEPS
    if abs(loss[recent].mean() - CHANCE) > STUCK_WITHIN or _warming_up(history):
        return None
    return Insight("stuck", {"steps": int(steps[-1] - steps[0]), "loss": short(float(loss[recent].mean()))})


def too_easy(history: History) -> Insight | None:
    """Every pair right, at no loss, before a tenth of the training is over."""
    if history.total is None:
        return None
    steps, accuracy = _curve(history, "rewards/accuracies")
    loss_steps, loss = _curve(history, "loss")
    early = steps <= history.total * EASY_SHARE
    early_loss = loss[loss_steps <= history.total * EASY_SHARE]
    if early.sum() < EASY_ROWS or len(early_loss) < EASY_ROWS:
        return None
    right, lost = accuracy[early][-EASY_ROWS:].mean(), early_loss[-EASY_ROWS:].mean()
    if right < EASY_ACCURACY or lost > EASY_LOSS:
        return None
    return Insight("too_easy", {"step": int(steps[early][-1]), "loss": short(float(lost))})


def unlearning(history: History) -> Insight | None:
    """Chosen answers lose likelihood while the margin grows: rejected ones only lose more."""
    steps, chosen = _curve(history, "logps/chosen")
    _, margins = _curve(history, "rewards/margins")
    change, certain = _change(chosen)
    if not certain or change > -UNLEARNED_NATS or _change(margins)[0] <= 0:
        return None
    return Insight("unlearning", {"nats": short(-change), "step": int(steps[0])})


def spikes(history: History) -> Insight | None:
    """Some gradients are many times as large as the usual ones."""
    at, every = history.series("grad_norm")
    _, losses = history.series("loss")
    steps, norms = _finite(at, np.where(losses < SPIKE_LOSS, np.nan, every))
    steps, norms = steps[-SPIKE_ROWS:], norms[-SPIKE_ROWS:]
    if len(norms) < 4 * SPIKES:
        return None
    usual = np.array([np.median(norms[max(0, row - SPIKE_BEFORE) : row + 1]) for row in range(len(norms))])
    times = norms / np.where(usual > 0, usual, np.inf)
    high = np.flatnonzero(times > SPIKE_TIMES)
    if len(high) < SPIKES:
        return None
    params = {"count": len(high), "times": short(float(times.max())), "step": int(steps[high[-1]])}
    return Insight("spikes", params)


def falling_margin(history: History) -> Insight | None:
    """The margin was higher, and has come down for long."""
    steps, margins = _curve(history, "rewards/margins")
    quarter = len(margins) // 4
    if len(margins) < FALLING_ROWS:
        return None
    before, recent = margins[-2 * quarter : -quarter], margins[-quarter:]
    fall = float(before.mean() - recent.mean())
    if fall <= max(FALLING_SHARE * abs(float(before.mean())), CERTAINTY * _error(before, recent)):
        return None
    params = {
        "before": short(float(before.mean())),
        "now": short(float(recent.mean())),
        "step": int(steps[-quarter]),
    }
    return Insight("falling_margin", params)


def overfitting(history: History) -> Insight | None:
    """The loss on held-out pairs rises from its best, while that on the trained pairs still falls."""
    steps, loss = _finite(*history.eval_series("loss"))
    if len(loss) <= OVERFIT_EVALS:
        return None
    best = int(loss.argmin())
    if best + OVERFIT_EVALS >= len(loss) or loss[-1] < loss[best] + OVERFIT_SHARE * abs(loss[best]):
        return None
    trained_steps, trained = _curve(history, "loss")
    then, since = trained[trained_steps <= steps[best]], trained[trained_steps > steps[best]]
    if not len(then) or not len(since) or since.mean() >= then[-max(1, len(since)) :].mean():
        return None
    params = {"best": short(float(loss[best])), "step": int(steps[best]), "now": short(float(loss[-1]))}
    return Insight("overfitting", params)


def slower(history: History) -> Insight | None:
    """The training does less in a second than it did."""
    name = "tokens_per_second" if "tokens_per_second" in history.names() else "pairs_per_second"
    _, speed = _curve(history, name)
    if len(speed) < 3 * SLOW_ROWS:
        return None
    now, before = float(np.median(speed[-SLOW_ROWS:])), float(np.median(speed[:-SLOW_ROWS]))
    if now <= 0 or before <= SLOW_TIMES * now:
        return None
    return Insight("slower", {"times": short(before / now)}, "note")


def growing_memory(history: History) -> Insight | None:
    """The peak of memory rises quarter after quarter, as it does when something is never freed."""
    _, memory = _curve(history, "memory_gib")
    if len(memory) < GROWING_ROWS:
        return None
    half, three, now = (float(memory[len(memory) * part // 4 - 1]) for part in (2, 3, 4))
    if half <= 0 or three < (1 + GROWING_SHARE) * half or now < (1 + GROWING_SHARE) * three:
        return None
    return Insight("growing_memory", {"before": short(half), "now": short(now)})


CHECKS: tuple[Callable[[History], Insight | None], ...] = (
    stuck,
    too_easy,
    unlearning,
    spikes,
    falling_margin,
    overfitting,
    slower,
    growing_memory,
)


def _curve(history: History, name: str) -> tuple[Steps, Values]:
    return _finite(*history.series(name))


def _finite(steps: Steps, values: Values) -> tuple[Steps, Values]:
    """Without the gaps, and within what squares can hold."""
    there = np.isfinite(values)
    return steps[there], values[there]


def _change(values: Values) -> tuple[float, bool]:
    """From the beginning to now, and whether that is more than what they scatter."""
    rows = max(5, int(_ENDS * len(values)))
    if len(values) < 2 * rows:
        return 0.0, False
    first, last = values[:rows], values[-rows:]
    change = float(last.mean() - first.mean())
    return change, abs(change) > CERTAINTY * _error(first, last)


def _error(one: Values, other: Values) -> float:
    """Standard error of the difference of two means."""
    return float(np.sqrt(one.var() / len(one) + other.var() / len(other)))


def _warming_up(history: History) -> bool:
    steps, rate = _curve(history, "learning_rate")
    recent = rate[steps > steps[-1] - STUCK_STEPS] if len(steps) else rate
    return len(recent) > 1 and recent[-1] > recent[0]
