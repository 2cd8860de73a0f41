"""The lines of a log: as many as fit, read from the disk when they are drawn, however many there are."""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from dpo_tui.keys import key
from dpo_tui.log_file import LogFile
from dpo_tui.log_search import LogSearch
from dpo_tui.run_log import RunLog

_WHEEL_LINES = 3
_SIDE_COLUMNS = 16


class LogLines(Widget, can_focus=True):
    """Shows `log`. It follows the end until somebody scrolls up; a scroll to the end follows again."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--match", "log--current", "log--thumb"}
    DEFAULT_CSS = """
    LogLines {
        height: 1fr; padding: 0 0 0 2; color: $text-muted;
        .log--match { text-style: reverse; }
        .log--current { text-style: bold; color: $foreground; }
        .log--thumb { color: $text-disabled; }
    }
    LogLines:focus { color: $foreground; }
    LogLines:focus .log--thumb { color: $accent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        key("log.up", "up,k", "scroll_lines(-1)"),
        key("log.down", "down,j", "scroll_lines(1)"),
        key("log.page_up", "pageup,b", "scroll_pages(-1)"),
        key("log.page_down", "pagedown,space", "scroll_pages(1)"),
        key("log.top", "home", "to_line(0)"),
        key("log.end", "end,G", "follow"),
        key("log.left", "left", "aside(-1)"),
        key("log.right", "right", "aside(1)"),
    ]

    class Moved(Message):
        """Other lines are shown, or whether it follows has changed."""

        def can_replace(self, message: Message) -> bool:
            """One tells as much as many."""
            return isinstance(message, LogLines.Moved)

    def __init__(self, log: LogFile | RunLog) -> None:
        super().__init__()
        self.log_file = log
        self.search: LogSearch | None = None
        """Whose matches are marked."""
        self.current: int | None = None
        """The line of the match last gone to."""
        self.top = 0
        self.left = 0
        self.following = True

    def show(self, log: LogFile | RunLog) -> None:
        """Show another file, from its end."""
        self.log_file, self.search, self.current, self.left = log, None, None, 0
        self.action_follow()

    def grown(self) -> None:
        """The file has changed: stay at its end, or where one was reading."""
        self._go(self._last_top if self.following else self.top)

    def reveal(self, line: int) -> None:
        """Bring a line into the middle, and mark it as the current one."""
        self.current, self.following = line, False
        self._go(line - self.size.height // 2)

    @property
    def bottom(self) -> int:
        """The last line shown."""
        return max(0, min(len(self.log_file), self.top + self.size.height) - 1)

    def render_line(self, y: int) -> Strip:
        """One line, cut to the width, with a scroll bar's thumb at the right edge."""
        width, number = max(1, self.size.width - 1), self.top + y
        base = self.visual_style.rich_style
        strip = self._line(number, width) if number < len(self.log_file) else Strip.blank(width, base)
        thumb = Segment("▐" if self._in_thumb(y) else " ", self.get_component_rich_style("log--thumb"))
        return Strip.join([strip, Strip([thumb], 1)])

    def _line(self, number: int, width: int) -> Strip:
        style = self.visual_style.rich_style
        if number == self.current:
            style = self.get_component_rich_style("log--current")
        text = self.log_file.line(number)
        end = self.left + width
        part = text[: end + 1]  # a character takes a cell or more
        strip = Strip(self._marked(part, style))
        cut = len(part) < len(text) or strip.cell_length > end
        shown = strip.crop(self.left, end).adjust_cell_length(width, style)
        if self.left and text:
            shown = Strip.join([Strip([Segment("…", style)], 1), shown.crop(1)])
        return Strip.join([shown.crop(0, width - 1), Strip([Segment("…", style)], 1)]) if cut else shown

    def _marked(self, text: str, style: Style) -> list[Segment]:
        """The text in pieces, what was searched for set off."""
        needle = self.search.query.lower() if self.search is not None else ""
        lowered = text.lower()
        if not needle or len(lowered) != len(text):  # some letters grow when they are lowered
            return [Segment(text, style)]
        mark = self.get_component_rich_style("log--match")
        pieces, at = [], 0
        while (found := lowered.find(needle, at)) >= 0:
            pieces += [Segment(text[at:found], style), Segment(text[found : found + len(needle)], mark)]
            at = found + len(needle)
        return [*pieces, Segment(text[at:], style)]

    def _in_thumb(self, y: int) -> bool:
        lines, height = len(self.log_file), self.size.height
        if lines <= height:
            return False
        length = max(1, height * height // lines)
        first = round(self.top / max(1, self._last_top) * (height - length))
        return first <= y < first + length

    @property
    def _last_top(self) -> int:
        return max(0, len(self.log_file) - self.size.height)

    def _go(self, top: int) -> None:
        self.top = max(0, min(top, self._last_top))
        self.refresh()
        self.post_message(self.Moved())

    def action_scroll_lines(self, lines: int) -> None:
        """Move by lines; at the end it follows again."""
        target = self.top + lines
        self.following = lines > 0 and target >= self._last_top
        self._go(target)

    def action_scroll_pages(self, pages: int) -> None:
        """Move by what fits on the screen."""
        self.action_scroll_lines(pages * max(1, self.size.height - 1))

    def action_to_line(self, line: int) -> None:
        """Put a line on top."""
        self.following = False
        self._go(line)

    def action_follow(self) -> None:
        """Go to the end and stay there."""
        self.following, self.current = True, None
        self._go(self._last_top)

    def action_aside(self, steps: int) -> None:
        """Show what is further left or right of long lines."""
        self.left = max(0, self.left + steps * _SIDE_COLUMNS)
        self.refresh()

    def on_resize(self) -> None:
        """The end stays in view."""
        self.grown()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel."""
        event.stop()
        self.action_scroll_lines(_WHEEL_LINES)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel."""
        event.stop()
        self.action_scroll_lines(-_WHEEL_LINES)

    def on_click(self, event: events.Click) -> None:
        """A click at the right edge goes to that part of the file."""
        if event.x >= self.size.width:
            top = round(event.y / max(1, self.size.height - 1) * self._last_top)
            self.following = top >= self._last_top
            self._go(top)
