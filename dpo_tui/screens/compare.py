"""Two to four runs, one over the other: a metric of each, what came out of them, how their configs differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, Static

from dpo_tui.comparing import ConfigDifferences, Row, config_differences, values
from dpo_tui.doing import doing
from dpo_tui.follow import Follower
from dpo_tui.keys import key
from dpo_tui.run_list import MOST_COMPARED
from dpo_tui.screens.base import DpoScreen, TitleBar
from dpo_tui.text import t
from dpo_tui.widgets.columns import GAP, cell, cut
from dpo_tui.widgets.compare_plot import LOOKS, METRICS, ComparePlot
from dpo_tui.widgets.plain import plain_line
from dpo_tui.widgets.state import state_text
from engine.rundir.paths import RunDir
from engine.sanitize import one_line

TICK_SECONDS = 0.5
BUDGET = 0.012
"""Seconds of reading a tick, all runs together: no key is answered late."""
BREATH_SECONDS = 0.002
"""Between two slices of long histories, so that keys are heard: a message posted to oneself would come before them."""
_KEY_CELLS = 34
_LEAST_CELLS = 9
_SIDES = 5
"""Cells left and right of the table, and its scroll bar."""


class CompareScreen(DpoScreen):
    """Compares the runs in `roots`; those that still train keep moving."""

    CSS_PATH = "compare.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("compare.metric", "1", "metric(1)", show=True, display=f"1-{len(METRICS)}"),
        *(
            key(f"compare.metric_{digit}", str(digit), f"metric({digit})")
            for digit in range(2, len(METRICS) + 1)
        ),
        key("compare.down", "down,j", "scroll(1)", show=True, display="↑↓"),
        key("compare.up", "up,k", "scroll(-1)"),
        key("compare.page_down", "pagedown", "page(1)"),
        key("compare.page_up", "pageup", "page(-1)"),
        key("compare.back", "escape,q", "back", show=True),
    ]

    @dataclass
    class Compared(Message):
        """In what the configs differ."""

        differences: ConfigDifferences

    def __init__(self, roots: Sequence[Path]) -> None:
        super().__init__()
        self.roots = tuple(root.absolute() for root in roots[:MOST_COMPARED])
        self.followers = [Follower(RunDir(root)) for root in self.roots]
        self._names = [one_line(root.name) for root in self.roots]
        self._catching_up = False
        self._drawn: object = None
        self._differences: ConfigDifferences | None = None

    def compose(self) -> ComposeResult:
        yield TitleBar(Content(t("compare.title")), Content(t("compare.runs", count=len(self.roots))))
        yield ComparePlot(self._names)
        with VerticalScroll(id="table", can_focus=False):  # its keys are the screen's: they work at once
            yield Static(id="values")
            yield Static(id="differences")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Read what there is, then look for more again and again."""
        self.query_one(ComparePlot).focus()
        self._read()
        self.set_interval(TICK_SECONDS, self._tick)
        self.run_worker(self._compare_configs, thread=True, exit_on_error=False)

    def help_text(self) -> str:
        """What the screen shows."""
        return t("compare.help")

    # Reading

    def _tick(self) -> None:
        if self.is_active and not self._catching_up:
            self._read()

    def _read(self) -> None:
        """Take in what is new, and go on at once when there is more than a moment's work of it."""
        polled = [follower.poll(BUDGET / len(self.followers)) for follower in self.followers]
        self._catching_up = any(changes.behind for changes in polled)
        if self._catching_up:
            self.set_timer(BREATH_SECONDS, self._read)
        else:
            self._draw()

    def _compare_configs(self) -> None:
        self.post_message(self.Compared(config_differences(self.roots)))

    @on(Compared)
    def _compared(self, event: Compared) -> None:
        self._differences = event.differences
        self._draw(anew=True)

    # Drawing

    def on_resize(self) -> None:
        """The columns get another width."""
        self.call_after_refresh(self._draw, anew=True)

    def _draw(self, *, anew: bool = False) -> None:
        seen = [(follower.history.version, follower.status.state) for follower in self.followers]
        if seen == self._drawn and not anew:
            return
        self._drawn = seen
        self.query_one(ComparePlot).show([follower.history for follower in self.followers])
        self.query_one("#values", Static).update(self._values())
        self.query_one("#differences", Static).update(self._config_part())
        self.call_after_refresh(self.refresh_bindings)

    def _values(self) -> Content:
        """Names, states, and the values below each other."""
        heads = [
            Content.styled(f"{sample} {cut(name, self._cells() - 3)}", f"$metric-{hue}")
            for name, (hue, _, sample) in zip(self._names, LOOKS, strict=False)
        ]
        states = [state_text(_doing(follower)) for follower in self.followers]
        lines = [self._line("", heads), self._line(t("compare.value.state"), states)]
        return Content("\n").join([*lines, *self._rows(values(self.followers))])

    def _config_part(self) -> Content:
        """The keys in which the configs differ; that there are none is worth saying."""
        if self._differences is None:
            return Content("")
        rows, unreadable = self._differences.rows, self._differences.unreadable
        lines = [Content.styled(t("compare.configs"), "bold")]
        if not rows and len(unreadable) < len(self.roots) - 1:
            lines.append(Content.styled(t("compare.same"), "dim"))
        lines += self._rows(rows)
        lines += [plain_line(t("compare.unreadable", name=name), "$warning") for name in unreadable]
        return Content("\n").join(lines)

    def _rows(self, rows: Sequence[Row]) -> list[Content]:
        return [self._line(name, [Content(value) for value in told]) for name, told in rows]

    def _line(self, name: str, told: Sequence[Content]) -> Content:
        cells = [cell(value, self._cells()) for value in told]
        label = cell(plain_line(name, "dim"), self._key_cells())
        return Content(" " * GAP).join([label, *cells])

    def _key_cells(self) -> int:
        return min(_KEY_CELLS, self.size.width // 3)

    def _cells(self) -> int:
        """The width of a run's column."""
        room = self.size.width - _SIDES - self._key_cells()
        return max(_LEAST_CELLS, room // len(self.roots) - GAP)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only a table that does not fit is scrolled; its key in the footer says that there is more."""
        if action in ("scroll", "page"):
            return self.is_mounted and self.query_one("#table").max_scroll_y > 0
        return super().check_action(action, parameters)

    def action_scroll(self, lines: int) -> None:
        """Show other rows of the table, whatever has the focus."""
        self.query_one("#table").scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """Show the rows above or below those that are seen."""
        table = self.query_one("#table")
        table.scroll_relative(y=pages * max(1, table.size.height - 1), animate=False)

    def action_metric(self, digit: int) -> None:
        """Compare by another metric."""
        if 0 < digit <= len(METRICS):
            self.query_one(ComparePlot).choose(METRICS[digit - 1])


def _doing(follower: Follower) -> str:
    history = follower.history
    return doing(follower.status.state, history.current_phase, trained=history.trained)
