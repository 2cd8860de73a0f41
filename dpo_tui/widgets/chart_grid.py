"""All charts of a run: one large on a small terminal, two or three columns where there is room."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widget import Widget

from dpo_tui.keys import key
from dpo_tui.metrics.history import History
from dpo_tui.widgets.metric_chart import CHARTS, ChartSpec, MetricChart

TWO_COLUMNS = 100
THREE_COLUMNS = 160
CHART_ROWS = 8
"""Rows that a chart has at the least before another one is put below it."""


CHART_KEYS: list[BindingType] = [
    key("chart.show", "1", "show_chart(1)", show=True, display=f"1-{len(CHARTS)}"),
    *(key(f"chart.show_{digit}", str(digit), f"show_chart({digit})") for digit in range(2, len(CHARTS) + 1)),
    key("chart.maximize", "z", "maximize_chart"),
]
"""For a screen that has a grid too, so that they work wherever the focus is: it passes both actions on."""


class ChartGrid(Widget):
    """As many charts as fit; a digit shows any of them and gives it the focus."""

    DEFAULT_CSS = """
    ChartGrid { layout: grid; grid-gutter: 0 1; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = CHART_KEYS

    def __init__(self, specs: Sequence[ChartSpec] = CHARTS, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._specs = specs
        self._first = 0
        self._maximized = False
        self._history = History()

    def compose(self) -> ComposeResult:
        """All charts, of which some are shown."""
        for digit, spec in enumerate(self._specs, 1):
            yield MetricChart(spec, digit)

    @property
    def charts(self) -> list[MetricChart]:
        """All of them, in order."""
        return list(self.query(MetricChart))

    def show(self, history: History) -> None:
        """Show a history as it is now."""
        self._history = history
        for chart in self.charts:
            if chart.display:
                chart.show(history)

    def on_mount(self) -> None:
        """Before the size is known, one."""
        self._arrange()

    def on_resize(self) -> None:
        """Another number of charts may fit."""
        self._arrange()

    def _arrange(self) -> None:
        columns, rows = self._shape()
        page = columns * rows
        start = self._first // page * page
        self.styles.grid_size_columns = columns
        self.styles.grid_size_rows = rows
        focused = self.screen.focused
        for index, chart in enumerate(self.charts):
            chart.display = start <= index < start + page
            if chart.display:
                chart.show(self._history)
        if isinstance(focused, MetricChart) and focused.parent is self and not focused.display:
            self.charts[start].focus()

    def _shape(self) -> tuple[int, int]:
        """Columns and rows of charts."""
        if self._maximized:
            return 1, 1
        columns = 3 if self.size.width >= THREE_COLUMNS else 2 if self.size.width >= TWO_COLUMNS else 1
        needed = -(-len(self._specs) // columns)
        fitting = max(1, self.size.height // CHART_ROWS) if columns > 1 else 1
        return columns, min(fitting, needed)

    def action_show_chart(self, digit: int) -> None:
        """Show a chart and go to it."""
        if 0 < digit <= len(self._specs):
            self._first = digit - 1
            self._arrange()
            self.charts[digit - 1].focus()

    def action_maximize_chart(self) -> None:
        """All room for the chart in focus, or again for as many as fit."""
        focused = self.screen.focused
        if isinstance(focused, MetricChart) and focused in self.charts:
            self._first = self.charts.index(focused)
        self._maximized = not self._maximized
        self._arrange()
