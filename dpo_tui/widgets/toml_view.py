"""A config as it will be saved: comments dim, tables bright, lines that were changed marked."""

import re
from collections.abc import Iterable

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.sanitize import one_line

_TABLE = re.compile(r"\s*\[")
_BEFORE_COMMENT = re.compile(r"""(?:[^#"']|"(?:\\.|[^"\\])*"|'[^']*')*""")
"""All of a line up to a # that is not inside quotes."""

_MARK, _NO_MARK = "▎", " "


class TomlView(VerticalScroll):
    """Follows the draft: `show` draws a text, and scrolls to the first line that is newly marked."""

    DEFAULT_CSS = """
    TomlView {
        padding: 0 1; scrollbar-size-vertical: 1;
        Static { width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="toml")
        self._marked: frozenset[int] = frozenset()

    def compose(self) -> ComposeResult:
        yield Static(id="toml-text")

    def show(self, text: str, changed: frozenset[int] = frozenset()) -> None:
        """`changed` are the marked lines, counted from 1."""
        self.query_one("#toml-text", Static).update(highlighted(text, changed))
        news = changed - self._marked
        self._marked = changed
        if news:
            self.call_after_refresh(self._reveal, min(news) - 1)

    def _reveal(self, line: int) -> None:
        top, height = round(self.scroll_y), self.scrollable_content_region.height
        if not top <= line < top + height:
            self.scroll_to(y=max(0, line - height // 3), animate=False)


def highlighted(text: str, changed: Iterable[int] = ()) -> Content:
    """TOML with a mark before the changed lines. Nothing in it is markup."""
    marked = frozenset(changed)
    lines = text.rstrip("\n").split("\n")
    return Content("\n").join(_line(line, number in marked) for number, line in enumerate(lines, start=1))


def numbered(text: str, wrong: Iterable[int] = ()) -> Content:
    """Any text with the numbers of its lines; the wrong ones stand out."""
    bad = frozenset(wrong)
    lines = text.rstrip("\n").split("\n")
    width = len(str(len(lines)))
    return Content("\n").join(
        Content.assemble(
            (
                f"{'✗' if number in bad else ' '} {number:>{width}}  ",
                "$error" if number in bad else "dim",
            ),
            (one_line(line), "$error" if number in bad else ""),
        )
        for number, line in enumerate(lines, start=1)
    )


def _line(line: str, changed: bool) -> Content:
    found = _BEFORE_COMMENT.match(line)
    values = found.group() if found else ""
    comment = line[len(values) :]
    style = "bold $accent" if _TABLE.match(values) else ("" if not changed else "bold")
    return Content.assemble(
        (_MARK if changed else _NO_MARK, "$accent"),
        (one_line(values), style),
        (one_line(comment), "dim"),
    )
