"""A few words of which one is chosen, on one line: arrow keys and the mouse move the choice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.events import MouseDown
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from dpo_tui.keys import key
from engine.sanitize import one_line

_CHOSEN, _OTHER = "● ", "○ "
_GAP = "  "


class Choice(Widget, can_focus=True):
    """`● sigmoid   ○ ipo   ○ hinge`; a value that is none of the words marks none of them."""

    DEFAULT_CSS = """
    Choice { height: auto; width: 1fr; color: $foreground; pointer: pointer; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        key("choice.before", "left", "move(-1)"),
        key("choice.after", "right,space", "move(1)"),
    ]

    value: reactive[str | None] = reactive(None)
    """The word chosen."""
    dimmed: reactive[bool] = reactive(False)
    """Whether the choice is only a default."""

    @dataclass
    class Changed(Message):
        """Somebody chose another word."""

        choice: "Choice"
        value: str

        @property
        def control(self) -> "Choice":
            return self.choice

    def __init__(self, words: Sequence[tuple[str, str]], value: str | None = None) -> None:
        """words: each value with what is shown for it."""
        super().__init__()
        self._words = [(word, one_line(shown)) for word, shown in words]
        self.set_reactive(Choice.value, value)

    def render(self) -> Content:
        """The words that fit on a line, and the rest below."""
        return Content("\n").join(
            Content(_GAP).join(self._word(index) for index in row) for row in self._rows()
        )

    def get_content_height(self, container: object, viewport: object, width: int) -> int:  # noqa: ARG002
        """As many lines as the words take."""
        return len(self._rows(width))

    def action_move(self, by: int) -> None:
        """Choose the next word; behind the last comes the first."""
        values = [word for word, _ in self._words]
        at = values.index(self.value) if self.value in values else (-1 if by > 0 else 0)
        self._choose((at + by) % len(values))

    def on_mouse_down(self, event: MouseDown) -> None:
        """Choose the word under the mouse.

        A click would be too late: the help of a field that loses the focus by it moves this away from the mouse.
        """
        offset = event.get_content_offset(self)
        rows = self._rows()
        if offset is None or not 0 <= offset.y < len(rows):
            return
        left = 0
        for index in rows[offset.y]:
            right = left + self._width(index)
            if left <= offset.x < right:
                self._choose(index)
            left = right + len(_GAP)

    def _choose(self, index: int) -> None:
        value = self._words[index][0]
        if value != self.value:
            self.value = value
            self.post_message(self.Changed(self, value))

    def _rows(self, width: int | None = None) -> list[list[int]]:
        width = self.content_size.width if width is None else width
        rows: list[list[int]] = [[]]
        used = 0
        for index in range(len(self._words)):
            needed = self._width(index) + (len(_GAP) if rows[-1] else 0)
            if rows[-1] and width and used + needed > width:
                rows.append([])
                used, needed = 0, self._width(index)
            rows[-1].append(index)
            used += needed
        return rows

    def _width(self, index: int) -> int:
        return Content(_CHOSEN + self._words[index][1]).cell_length

    def _word(self, index: int) -> Content:
        word, shown = self._words[index]
        if word != self.value:
            return Content.styled(_OTHER + shown, "dim")
        if self.has_focus:
            return Content.styled(_CHOSEN + shown, "bold $accent")
        return Content.styled(_CHOSEN + shown, "dim" if self.dimmed else "")

    def watch_has_focus(self, has_focus: bool) -> None:
        """The focus is seen on the word chosen."""
        super().watch_has_focus(has_focus)
        self.refresh()
