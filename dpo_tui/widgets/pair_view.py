"""One pair as the model sees it: roles and special tokens dim, the two completions side by side in colour."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import MouseDown
from textual.message import Message
from textual.widgets import Static

from dpo_tui.keys import key
from dpo_tui.text import t
from engine.sanitize import visible

PARTS = ("prompt", "chosen", "rejected")

BEGINNING, END = 500, 300
"""Characters shown of each end of a long text."""

_SPECIAL = re.compile(
    r"<\|[^|<>\n]{1,40}\|>(?:(?:system|user|assistant|tool)(?=\n))?"
    r"|</?s>|<(?:bos|eos|pad|start_of_turn|end_of_turn)>|\[/?INST\]|<</?SYS>>"
)
"""Tokens of chat templates, with the role that some of them are followed by."""


class PairView(Vertical, can_focus=True):
    """Shows what it is given; ← and → ask for another one."""

    DEFAULT_CSS = """
    PairView {
        height: auto; display: none; margin-top: 1;
        #of { color: $text-muted; height: 1; text-wrap: nowrap; }
        .part { height: auto; }
        .label { width: 10; color: $text-muted; }
        .text { width: 1fr; height: auto; }
        #chosen .label { color: $metric-chosen; }
        #rejected .label { color: $metric-rejected; }
        &:focus #of { color: $accent; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        key("pair.before", "left", "browse(-1)"),
        key("pair.after", "right", "browse(1)"),
        key("pair.first", "home", "browse(-1000000000)"),
        key("pair.last", "end", "browse(1000000000)"),
    ]

    @dataclass
    class Wanted(Message):
        """Another pair shall be shown."""

        index: int

    def __init__(self) -> None:
        super().__init__(id="pair")
        self.index = 0
        self._count = 0

    def compose(self) -> ComposeResult:
        yield Static(id="of", markup=False)
        for part in PARTS:
            with Horizontal(classes="part", id=part):
                yield Static(t(f"data_step.{part}"), classes="label", markup=False)
                yield Static(classes="text")

    def show(self, index: int, count: int, pair: Mapping[str, str]) -> None:
        """Show pair `index`, from 0, of `count`."""
        self.index, self._count = index, count
        for part in PARTS:
            self.query_one(f"#{part} .text", Static).update(pair_text(str(pair.get(part, ""))))
        self._head()
        self.display = True

    def hide(self) -> None:
        """There is nothing to show."""
        self._count = 0
        self.display = False

    def action_browse(self, by: int) -> None:
        """Ask for the pair so many further on, at most the first or the last."""
        index = min(max(self.index + by, 0), self._count - 1)
        if self._count and index != self.index:
            self.index = index
            self._head()
            self.post_message(self.Wanted(index))

    def on_mouse_down(self, event: MouseDown) -> None:
        """On the first line: the left half goes back, the right half on.

        A click would be too late: the help of a field that loses the focus by it moves this away from the mouse.
        """
        offset = event.get_content_offset(self)
        if offset is not None and offset.y == 0:
            self.action_browse(1 if offset.x * 2 >= self.size.width else -1)

    def on_resize(self) -> None:
        """The rule on the first line is as wide as the view."""
        self._head()

    def _head(self) -> None:
        place = t("data_step.pair", number=f"{self.index + 1:,}", count=f"{self._count:,}")
        said = Content(f"── {place} ")
        rule = "─" * max(0, self.size.width - said.cell_length - 6)
        self.query_one("#of", Static).update(Content.assemble(said, rule, " ← → "))


def pair_text(text: str) -> Content:
    """A part of a pair: visible whatever it holds, special tokens dim, the middle of a long one left out."""
    if len(text) > BEGINNING + END + 100:
        left_out = t("data_step.left_out", count=f"{len(text) - BEGINNING - END:,}")
        return Content.assemble(*_styled(text[:BEGINNING]), (f" [{left_out}] ", "dim"), *_styled(text[-END:]))
    return Content.assemble(*_styled(text))


def _styled(text: str) -> Iterator[Content]:
    at = 0
    for found in _SPECIAL.finditer(text):
        yield Content(visible(text[at : found.start()]))
        yield Content.styled(visible(found.group()), "dim")
        at = found.end()
    yield Content(visible(text[at:].rstrip("\n")))
