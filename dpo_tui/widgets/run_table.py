"""The table of runs: one line a run, drawn only where it is seen and only when it has changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style
from textual.visual import Visual

from dpo_tui.keys import key
from dpo_tui.run_list import RunRow
from dpo_tui.text import t
from dpo_tui.widgets import run_line
from dpo_tui.widgets.columns import Column

HEAD = 1
"""Lines above the runs, which do not scroll."""


class RunTable(ScrollView, can_focus=True):
    """Runs to choose from. The cursor stays on its run however the rows move."""

    DEFAULT_CSS = """
    RunTable {
        height: 1fr; padding: 0 1; overflow-x: hidden; scrollbar-size-vertical: 1;
        &:focus > .run-table--cursor { background: $block-cursor-background; }
    }
    RunTable > .run-table--cursor { background: $block-cursor-blurred-background; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"run-table--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        key("runs.up", "up,k", "move(-1)"),
        key("runs.down", "down,j", "move(1)"),
        key("runs.page_up", "pageup", "page(-1)"),
        key("runs.page_down", "pagedown", "page(1)"),
        key("runs.first", "home", "go(0)"),
        key("runs.last", "end", "go(-1)"),
        key("runs.mark", "space", "mark"),
    ]

    @dataclass
    class Moved(Message):
        """The cursor is on another run, or the run under it has changed."""

        row: RunRow | None
        by_person: bool

    @dataclass
    class Opened(Message):
        """A run was double-clicked."""

        row: RunRow

    @dataclass
    class Marked(Message):
        """Other runs are marked than before."""

        count: int

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[RunRow] = []
        self._ages: list[str] = []
        """How long ago each was heard of, as it was drawn last."""
        self._columns: list[Column] = []
        self._cursor: Path | None = None
        self._marked: list[Path] = []

    @property
    def current(self) -> RunRow | None:
        """The run under the cursor."""
        return self._rows[self._index] if self._rows else None

    @property
    def below(self) -> RunRow | None:
        """The run under that one."""
        return self._rows[self._index + 1] if self._index + 1 < len(self._rows) else None

    @property
    def marked(self) -> list[RunRow]:
        """The marked runs, in the order in which they were marked."""
        rows = {row.root: row for row in self._rows}
        return [rows[root] for root in self._marked if root in rows]

    def help_text(self) -> str:
        """What the columns and the marks mean."""
        return t("home.help")

    def show(self, rows: Sequence[RunRow]) -> None:
        """Show these rows; the lines that are as they were are not drawn again."""
        before, index, current = self._rows, self._index, self.current
        self._rows = list(rows)
        ages, self._ages = self._ages, [run_line.age(row).plain for row in rows]
        self._lay_out()
        if current is None or current.root not in {row.root for row in rows}:
            self._cursor = self._rows[min(index, len(rows) - 1)].root if rows else None
        if [row.root for row in before] != [row.root for row in rows]:
            self.refresh()
            self._show_cursor()
        else:
            for line, row in enumerate(rows):
                if row != before[line] or self._ages[line] != ages[line]:
                    self._refresh_row(line)
        if self.current != current:
            self.post_message(self.Moved(self.current, by_person=False))

    def on_resize(self) -> None:
        """Other columns may fit."""
        self._lay_out()
        self.refresh()

    def _lay_out(self) -> None:
        columns = run_line.columns(self._rows, self.scrollable_content_region.width)
        if columns != self._columns:
            self._columns = columns
            self.refresh()
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._rows) + HEAD)

    def render_line(self, y: int) -> Strip:
        """The header, or the run that has scrolled there."""
        style = self.visual_style
        if y < HEAD:
            return self._strip(run_line.header(self._columns), style)
        index = y - HEAD + self.scroll_offset.y
        if index >= len(self._rows):
            return Strip.blank(self.size.width, style.rich_style)
        row, here = self._rows[index], index == self._index
        if here:
            style += Style.from_styles(self.get_component_styles("run-table--cursor"))
        content = run_line.line(row, self._columns, cursor=here, marked=row.root in self._marked)
        return self._strip(content, style)

    def _strip(self, content: Content, style: Style) -> Strip:
        width = self.scrollable_content_region.width
        strips = Visual.to_strips(self, content, width, 1, style, apply_selection=False, pad=True)
        return strips[0].crop_extend(0, width, style.rich_style)

    @property
    def _index(self) -> int:
        """Where the cursor is now; the first line for one whose run has gone."""
        return next((index for index, row in enumerate(self._rows) if row.root == self._cursor), 0)

    def action_move(self, by: int) -> None:
        """Up or down."""
        self._go(self._index + by)

    def action_page(self, by: int) -> None:
        """A screenful up or down."""
        self._go(self._index + by * max(1, self.size.height - HEAD - 1))

    def action_go(self, to: int) -> None:
        """To the first or the last run."""
        self._go(to if to >= 0 else len(self._rows) - 1)

    def action_mark(self) -> None:
        """Mark the run, or take its mark away, and go on to the next."""
        if self.current is None or self.current.state == "broken":
            return
        root = self.current.root
        if root in self._marked:
            self._marked.remove(root)
        else:
            self._marked.append(root)
        self._refresh_row(self._index)
        self.post_message(self.Marked(len(self.marked)))
        self.action_move(1)

    def _go(self, index: int) -> None:
        if not self._rows:
            return
        before, index = self._index, max(0, min(index, len(self._rows) - 1))
        self._cursor = self._rows[index].root
        for line in {before, index}:
            self._refresh_row(line)
        self._show_cursor()
        if index != before:
            self.post_message(self.Moved(self.current, by_person=True))

    def _show_cursor(self) -> None:
        height = max(1, self.scrollable_content_region.height - HEAD)
        top, index = self.scroll_offset.y, self._index
        if not top <= index < top + height:
            self.scroll_to(y=index if index < top else index - height + 1, animate=False)

    def _refresh_row(self, index: int) -> None:
        line = index + HEAD - self.scroll_offset.y
        if HEAD <= line < self.size.height:
            self.refresh(Region(0, line, self.size.width, 1))

    def on_click(self, event: events.Click) -> None:
        """A click selects, a second one at once opens."""
        offset = event.get_content_offset(self)
        if offset is None or offset.y < HEAD:
            return
        index = offset.y - HEAD + self.scroll_offset.y
        if index < len(self._rows):
            self._go(index)
            if event.chain >= 2 and self.current is not None:
                self.post_message(self.Opened(self.current))
