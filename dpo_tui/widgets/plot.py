"""Curves over the steps of a run: a title that tells the last values, an axis on two sides, braille between.

Drawn here and not by a plotting library: four charts of two noisy curves took one 70 ms a frame, and its frame and
margins half of an eight-row chart (`benchmarks/app_charts.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from dpo_tui.keys import key
from dpo_tui.metrics.decimate import Points, decimate
from dpo_tui.metrics.numbers import short
from dpo_tui.metrics.table import Values
from dpo_tui.widgets.axes import Viewport, labels, ticks
from dpo_tui.widgets.braille import ACROSS, Pattern, Raster

LABELS = 7
"""Cells for the numbers of the y axis, and the axis."""
ZOOM = 0.6
PAN = 0.25

_HUES = ("loss", "chosen", "rejected", "margin", "accuracy", "rate", "other", "eval", "band")
_AXIS, _CHROME_ROWS, _ROWS_A_TICK, _CELLS_A_TICK = "│", 2, 3, 12


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a plot. `hue`: the metric whose colour it has, "eval" or, for what lies behind, "band"."""

    x: NDArray[np.int64] | Values
    y: Values
    hue: str
    pattern: Pattern = "solid"
    thick: bool = False


class Plot(Widget, can_focus=True):
    """Draws what `curves` and `title` return, when it is shown and something has changed."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "plot--title",
        "plot--muted",
        "plot--axis",
        *(f"plot--{hue}" for hue in _HUES),
    }
    DEFAULT_CSS = """
    Plot {
        height: 1fr; min-height: 4; pointer: default;
        &:focus { background: $panel; }
        & > .plot--title { color: $foreground; text-style: bold; }
        &:focus > .plot--title { color: $accent; text-style: bold; }
        & > .plot--muted { color: $text-muted; }
        & > .plot--axis { color: $metric-other; text-style: dim; }
        & > .plot--band { color: $metric-other; text-style: dim; }
        & > .plot--eval { color: $foreground; }
        & > .plot--loss { color: $metric-loss; }
        & > .plot--chosen { color: $metric-chosen; }
        & > .plot--rejected { color: $metric-rejected; }
        & > .plot--margin { color: $metric-margin; }
        & > .plot--accuracy { color: $metric-accuracy; }
        & > .plot--rate { color: $metric-rate; }
        & > .plot--other { color: $metric-other; }
    }
    """
    ZOOM_KEYS = Binding.Group("", compact=True)
    BINDINGS: ClassVar[list[BindingType]] = [
        key("chart.zoom_in", "plus,equals_sign", "zoom_in", group=ZOOM_KEYS),
        key("chart.zoom_out", "minus", "zoom_out", group=ZOOM_KEYS),
        key("chart.earlier", "left", "earlier", group=ZOOM_KEYS),
        key("chart.later", "right", "later", group=ZOOM_KEYS),
        key("chart.reset", "0", "reset", group=ZOOM_KEYS),
        key("chart.log", "y", "log"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 # textual's name of it
        super().__init__(id=id)
        self.viewport = Viewport()
        self.logarithmic = False
        self._strips: list[Strip] = []
        self._drawn_size = Size(0, 0)
        self._base = Style.null()
        self._dirty = True

    # What a subclass says

    def curves(self, columns: int) -> Sequence[Curve]:
        """The lines, the hindmost first. `columns`: dots across, beyond which no detail is seen."""
        raise NotImplementedError

    def title(self) -> Sequence[tuple[str, str]]:
        """The first line: texts, each with "title", "muted" or a hue. The last ones go where there is no room."""
        raise NotImplementedError

    def placeholder(self) -> str:
        """What stands where the curves would, while there are none."""
        return ""

    def extent(self) -> tuple[float, float]:
        """The first and the last step there is."""
        raise NotImplementedError

    def may_log(self) -> bool:
        """Whether a logarithmic scale makes sense."""
        return False

    # Drawing

    def redraw(self) -> None:
        """Something has changed: draw anew when it is seen next."""
        self._dirty = True
        self.refresh()

    def notify_style_update(self) -> None:
        """Other colours, or the focus."""
        super().notify_style_update()
        self._dirty = True

    def render_line(self, y: int) -> Strip:
        """One line of the widget."""
        if self._dirty or self.size != self._drawn_size:
            self._dirty, self._drawn_size = False, self.size
            self._base = self.rich_style
            self._strips = self._draw(self.size.width, self.size.height)
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, self.rich_style)

    def _draw(self, width: int, height: int) -> list[Strip]:
        columns, rows = width - LABELS - 1, height - _CHROME_ROWS
        said = fitting(self.title(), width)
        title = self._strip([(text, self._style(style)) for text, style in said], width)
        if columns < 4 or rows < 1:
            return [title]
        low, high = self.viewport.window(*self.extent())
        lines = self._lines(columns * ACROSS, low, high)
        if not lines:
            return [title, *self._vacant(width, rows)]
        bottom, top = _range([y for _, points in lines for _, y in points])
        raster, hues = Raster(columns, rows), list(dict.fromkeys(curve.hue for curve, _ in lines))
        across, down = raster.width / (high - low), raster.height / (top - bottom)
        for curve, points in lines:
            hue = hues.index(curve.hue)
            for x, y in points:
                raster.draw((x - low) * across, (top - y) * down, curve.pattern, hue, thick=curve.thick)
        styles = [*(self._style(hue) for hue in hues), self._base]
        y_axis = self._y_axis(bottom, top, rows)
        body = [
            self._row([*y_axis[row], *((text, styles[hue]) for text, hue in raster.row(row))], width)
            for row in range(rows)
        ]
        return [title, *body, self._x_axis(low, high, columns, width)]

    def _lines(self, columns: int, low: float, high: float) -> list[tuple[Curve, list[Points]]]:
        """Each curve as the points to draw of it; a logarithm where that is asked for."""
        lines = []
        for curve in self.curves(columns):
            y = curve.y
            if self.logarithmic and self.may_log():
                y = np.log10(np.where(y > 0, y, np.nan))
            points = decimate(curve.x, y, columns, low, high)
            if points:
                lines.append((curve, points))
        return lines

    def _y_axis(self, bottom: float, top: float, rows: int) -> list[list[tuple[str, Style]]]:
        """The number and the axis at the left of each row."""
        places = ticks(bottom, top, max(2, rows // _ROWS_A_TICK + 1))
        exponents = self.logarithmic and self.may_log()
        texts = [short(10**place) for place in places] if exponents else labels(places)
        told = {}
        for place, text in zip(places, texts, strict=True):
            told[min(rows - 1, int((top - place) / (top - bottom) * rows))] = text
        muted, axis = self._style("muted"), self._style("axis")
        return [[(told.get(row, "").rjust(LABELS - 1), muted), (_AXIS, axis)] for row in range(rows)]

    def _x_axis(self, low: float, high: float, columns: int, width: int) -> Strip:
        """The steps below the curves, each number around its place and none cut off."""
        places = ticks(low, high, max(2, columns // _CELLS_A_TICK), whole=True)
        line = [" "] * columns
        free = 0
        for place, text in zip(places, labels(places), strict=True):
            middle = int((place - low) / (high - low) * columns)
            start = min(max(free, middle - len(text) // 2), columns - len(text))
            if place >= 0 and start >= free:
                line[start : start + len(text)] = text
                free = start + len(text) + 1
        return self._strip([(" " * LABELS + "".join(line), self._style("muted"))], width)

    def _vacant(self, width: int, rows: int) -> list[Strip]:
        text = self.placeholder()
        empty = Strip.blank(width, self._base)
        said = self._strip([(" " * LABELS + text, self._style("muted"))], width)
        return [said if row == rows // 2 else empty for row in range(rows + 1)]

    def _strip(self, parts: Sequence[tuple[str, Style]], width: int) -> Strip:
        strip = Strip([Segment(text, style) for text, style in parts])
        return strip.adjust_cell_length(width, self._base)

    def _row(self, parts: Sequence[tuple[str, Style]], width: int) -> Strip:
        """`_strip` for what is one cell short of the width: every chart has many of them."""
        segments = [Segment(text, style) for text, style in parts]
        return Strip([*segments, Segment(" ", self._base)], width)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"plot--{name}")

    # Moving

    def action_zoom_in(self) -> None:
        """Fewer steps."""
        self._zoom(ZOOM)

    def action_zoom_out(self) -> None:
        """More steps."""
        self._zoom(1 / ZOOM)

    def action_earlier(self) -> None:
        """To the left."""
        self._pan(-PAN)

    def action_later(self) -> None:
        """To the right."""
        self._pan(PAN)

    def action_reset(self) -> None:
        """Everything."""
        self.viewport.reset()
        self.redraw()

    def action_log(self) -> None:
        """The other scale."""
        self.logarithmic = not self.logarithmic and self.may_log()
        self.redraw()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel zooms around the pointer."""
        event.stop()
        self._zoom(ZOOM, self._share(event))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel zooms around the pointer."""
        event.stop()
        self._zoom(1 / ZOOM, self._share(event))

    def on_mouse_down(self) -> None:
        """The drag may leave the widget."""
        self.capture_mouse()

    def on_mouse_up(self) -> None:
        """The drag is over."""
        self.release_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Dragging moves the curves with the pointer."""
        if event.button == 1 and event.delta_x:
            self._pan(-event.delta_x / max(1, self.size.width - LABELS))

    def _share(self, event: events.MouseEvent) -> float:
        return min(1.0, max(0.0, (event.x - LABELS) / max(1, self.size.width - LABELS - 1)))

    def _zoom(self, factor: float, at: float = 1.0) -> None:
        self.viewport.zoom(factor, *self.extent(), at=at)
        self.redraw()

    def _pan(self, share: float) -> None:
        self.viewport.pan(share, *self.extent())
        self.redraw()


def fitting(parts: Sequence[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """Of the parts of a line those that fit whole, and the first two in any case."""
    kept = list(parts)
    while len(kept) > 2 and sum(cell_len(text) for text, _ in kept) > width:
        kept.pop()
    return kept


def _range(values: Sequence[Values]) -> tuple[float, float]:
    """The lowest and the highest value, with a little room; around a constant there is room as well."""
    low = min(float(part.min()) for part in values)
    high = max(float(part.max()) for part in values)
    room = (high - low) * 0.03 or abs(high) * 0.1 or 1.0
    return low - room, high + room
