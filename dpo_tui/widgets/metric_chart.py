"""One chart of a run: the raw values as a grey band, their course bright upon it, the held-out pairs as dots."""

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType

from dpo_tui.keys import key
from dpo_tui.metrics.history import History
from dpo_tui.metrics.numbers import short, signed
from dpo_tui.metrics.smoothing import AMOUNTS, Smoothing, means, smooth, time_constant
from dpo_tui.metrics.trend import last_of
from dpo_tui.text import t
from dpo_tui.widgets.braille import Pattern
from dpo_tui.widgets.plot import Curve, Plot

_TRENDS = {1: " ▲", 0: "", -1: " ▼"}
_SAMPLES: dict[Pattern, str] = {"solid": "━", "dashed": "╍", "dots": "•"}


@dataclass(frozen=True, slots=True)
class Line:
    """A metric as a line. `name` is the end of its catalogue key, for charts of several."""

    metric: str
    hue: str
    name: str = ""
    pattern: Pattern = "solid"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartSpec:
    """What a chart shows; `chart.<id>` names it, `chart.<id>.about` explains it."""

    id: str
    lines: tuple[Line, ...]
    evaluated: bool = True
    """Whether the held-out pairs are measured by it as well."""
    noisy: bool = True
    """Whether smoothing tells more than the values do."""
    log: bool = False
    unit: str = ""
    """The catalogue key of its unit."""


class MetricChart(Plot):
    """Shows a `History` as its `spec` says. `digit` stands before the title: the key that leads here."""

    BINDINGS: ClassVar[list[BindingType]] = [key("chart.smooth", "m", "smooth")]

    def __init__(self, spec: ChartSpec, digit: int | None = None) -> None:
        super().__init__(id=f"chart-{spec.id}")
        self.spec = spec
        self.digit = digit
        self.smoothing: Smoothing = "light" if spec.noisy else "none"
        self.history = History()
        self._version = -1

    def show(self, history: History) -> None:
        """Show a history as it is now; nothing is done where nothing has changed."""
        if history is not self.history or history.version != self._version:
            self.history, self._version = history, history.version
            self.redraw()

    def extent(self) -> tuple[float, float]:
        """From the first step event to the last, or the last evaluation."""
        steps, evaluated = self.history.series("loss")[0], self.history.eval_series("loss")[0]
        ends = [float(array[end]) for array in (steps, evaluated) if len(array) for end in (0, -1)]
        return (min(ends), max(ends)) if ends else (0.0, 1.0)

    def curves(self, columns: int) -> list[Curve]:
        """Bands, then lines, then dots."""
        raw = [(line, *self.history.series(line.metric)) for line in self.spec.lines]
        if self.smoothing == "none":
            return [
                *(Curve(x, y, line.hue, line.pattern) for line, x, y in raw),
                *self._evaluations(),
            ]
        detail = self._detail(columns)
        smoothed = []
        for line, x, y in raw:
            places, values = means(x, y, detail)
            values = smooth(places, values, time_constant(x, self.smoothing))
            smoothed.append(Curve(places, values, line.hue, line.pattern, thick=True))
        return [*(Curve(x, y, "band") for _, x, y in raw), *smoothed, *self._evaluations()]

    def _evaluations(self) -> list[Curve]:
        if not self.spec.evaluated:
            return []
        evals, several = self.history.eval_series, len(self.spec.lines) > 1
        return [
            Curve(*evals(line.metric), line.hue if several else "eval", "dots") for line in self.spec.lines
        ]

    def _detail(self, columns: int) -> int:
        """Parts of the whole curve that are as fine as what is seen of it."""
        first, last = self.extent()
        low, high = self.viewport.window(first, last)
        return min(1 << 20, max(columns, int(columns * (last - first) / max(1.0, high - low))))

    def title(self) -> list[tuple[str, str]]:
        """`1 loss 0.412 ▼  • eval 0.431`, or the name and each line with its last value."""
        parts = [(f" {self.digit} ", "muted")] if self.digit is not None else [(" ", "muted")]
        parts.append((f"{t(f'chart.{self.spec.id}')} ", "title"))
        several = len(self.spec.lines) > 1
        for line in self.spec.lines:
            name = f" {_SAMPLES[line.pattern]} {t(f'chart.line.{line.name}')}" if several else ""
            value = signed if several else short
            parts.append((f"{name} {value(self.history.last(line.metric))}", line.hue))
            parts.append((_TRENDS[self.history.trend(line.metric)], "muted"))
        if self.spec.unit:
            parts.append((f" {t(self.spec.unit)}", "muted"))
        return [*parts, *self._eval_title(), *self._state_title()]

    def _eval_title(self) -> list[tuple[str, str]]:
        """The last value of the held-out pairs, where the line leaves room for it."""
        value = last_of(self.history.eval_series(self.spec.lines[0].metric)[1])
        if not self.spec.evaluated or len(self.spec.lines) > 1 or value is None:
            return []
        return [(f"  {_SAMPLES['dots']} {t('chart.line.eval')} {short(value)}", "eval")]

    def _state_title(self) -> list[tuple[str, str]]:
        """What differs from how the chart was at first."""
        said = [t("chart.zoomed")] if self.viewport.zoomed else []
        said += [t("chart.log")] if self.logarithmic else []
        if self.spec.noisy and self.smoothing != "light":
            said.append(t(f"chart.smoothing.{self.smoothing}"))
        return [((" · " if place else "  ") + word, "muted") for place, word in enumerate(said)]

    def placeholder(self) -> str:
        """Nothing yet, or never."""
        return t("chart.absent") if len(self.history.series("loss")[0]) else t("chart.empty")

    def may_log(self) -> bool:
        """Where all values are above zero by their nature."""
        return self.spec.log

    def action_smooth(self) -> None:
        """The next amount of smoothing."""
        if self.spec.noisy:
            self.smoothing = AMOUNTS[(AMOUNTS.index(self.smoothing) + 1) % len(AMOUNTS)]
            self.redraw()

    def help_text(self) -> str:
        """What the chart shows and how to read it."""
        return t("chart.help", name=t(f"chart.{self.spec.id}"), about=t(f"chart.{self.spec.id}.about"))


_REWARDS = (
    Line("rewards/chosen", "chosen", "chosen"),
    Line("rewards/rejected", "rejected", "rejected", "dashed"),
)
_LOGPS = (Line("logps/chosen", "chosen", "chosen"), Line("logps/rejected", "rejected", "rejected", "dashed"))

CHARTS: tuple[ChartSpec, ...] = (
    ChartSpec(id="loss", lines=(Line("loss", "loss"),), log=True),
    ChartSpec(id="margins", lines=(Line("rewards/margins", "margin"),)),
    ChartSpec(id="rewards", lines=_REWARDS),
    ChartSpec(id="accuracy", lines=(Line("rewards/accuracies", "accuracy"),)),
    ChartSpec(id="logps", lines=_LOGPS),
    ChartSpec(id="rate", lines=(Line("learning_rate", "rate"),), evaluated=False, noisy=False, log=True),
    ChartSpec(id="grad_norm", lines=(Line("grad_norm", "other"),), evaluated=False, log=True),
    ChartSpec(
        id="speed", lines=(Line("pairs_per_second", "other"),), evaluated=False, unit="chart.unit.speed"
    ),
    ChartSpec(
        id="memory",
        lines=(Line("memory_gib", "other"),),
        evaluated=False,
        noisy=False,
        unit="chart.unit.memory",
    ),
)
"""All charts of a run, in the order in which they are looked at; the first is key 1."""
