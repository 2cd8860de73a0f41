"""One metric of several runs: a colour and a pattern for each, and its name with its last value above."""

from collections.abc import Sequence
from dataclasses import dataclass

from dpo_tui.metrics.history import History
from dpo_tui.metrics.numbers import short
from dpo_tui.metrics.smoothing import Smoothing, means, smooth, time_constant
from dpo_tui.metrics.table import Steps, Values
from dpo_tui.metrics.trend import last_of
from dpo_tui.text import t
from dpo_tui.widgets.braille import Pattern
from dpo_tui.widgets.columns import cut
from dpo_tui.widgets.plot import Curve, Plot

LOOKS: tuple[tuple[str, Pattern, str], ...] = (
    ("loss", "solid", "━━"),
    ("margin", "dashed", "╍╍"),
    ("accuracy", "dotted", "┄┄"),
    ("rate", "dashdot", "━┄"),
)
"""Hue, pattern and legend of each run."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A metric that runs are compared by. `compare.metric.<name>` names it."""

    name: str
    metric: str
    evaluated: bool = False
    noisy: bool = True
    log: bool = False


METRICS: tuple[Compared, ...] = (
    Compared("loss", "loss", log=True),
    Compared("eval_loss", "loss", evaluated=True, noisy=False, log=True),
    Compared("margins", "rewards/margins"),
    Compared("accuracy", "rewards/accuracies"),
    Compared("chosen", "rewards/chosen"),
    Compared("logps", "logps/chosen"),
    Compared("grad_norm", "grad_norm", log=True),
    Compared("rate", "learning_rate", noisy=False, log=True),
    Compared("speed", "pairs_per_second"),
)
"""In the order of their keys, from 1."""


class ComparePlot(Plot):
    """The runs' curves of one metric over the steps."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(id="compare-plot")
        self._names = names
        self._histories: Sequence[History] = [History() for _ in names]
        self.compared = METRICS[0]
        self.smoothing: Smoothing = "light"

    def show(self, histories: Sequence[History]) -> None:
        """Draw the runs as they are now."""
        self._histories = histories
        self.redraw()

    def choose(self, compared: Compared) -> None:
        """Compare by another metric."""
        self.compared = compared
        self.redraw()

    def extent(self) -> tuple[float, float]:
        """From the first step of any run to the last of any."""
        ends = [float(x[end]) for x, _ in map(self._series, self._histories) if len(x) for end in (0, -1)]
        return (min(ends), max(ends)) if ends else (0.0, 1.0)

    def curves(self, columns: int) -> list[Curve]:
        """The last run hindmost, so that the first is whole."""
        found = []
        for history, (hue, pattern, _) in zip(self._histories, LOOKS, strict=False):
            x, y = self._series(history)
            if self.compared.noisy:
                places, values = means(x, y, columns * 4)
                y = smooth(places, values, time_constant(x, self.smoothing))
                found.append(Curve(places, y, hue, pattern, thick=True))
            else:
                found.append(Curve(x, y, hue, pattern))
        return found[::-1]

    def title(self) -> list[tuple[str, str]]:
        """The metric, then each run as its line looks, with its last value."""
        name = t(f"compare.metric.{self.compared.name}")
        parts = [(f" {name} ", "title")]
        room = max(6, (self.size.width - len(name) - 4) // max(1, len(self._names)) - 13)
        for run, history, (hue, _, sample) in zip(self._names, self._histories, LOOKS, strict=False):
            value = short(last_of(self._series(history)[1]))
            parts.append((f"  {sample} {cut(run, room)} {value}", hue))
        said = [t("chart.zoomed")] if self.viewport.zoomed else []
        said += [t("chart.log")] if self.logarithmic and self.may_log() else []
        return [*parts, ("  " + " · ".join(said), "muted")]

    def placeholder(self) -> str:
        """None of the runs has it."""
        return t("compare.nothing")

    def may_log(self) -> bool:
        """Where all values are above zero by their nature."""
        return self.compared.log

    def _series(self, history: History) -> tuple[Steps, Values]:
        return (history.eval_series if self.compared.evaluated else history.series)(self.compared.metric)
