"""A line of a form that is no key of the config: a label, and beside it what is chosen."""

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Static

from dpo_tui.widgets.plain import plain_line


class Labelled(Horizontal):
    """Looks like a field."""

    DEFAULT_CSS = """
    Labelled {
        height: auto; width: 1fr;
        .label { width: 20; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; padding-right: 1; }
        &:focus-within .label { color: $accent; }
    }
    """

    def __init__(self, label: str, child: Widget, *, id: str | None = None) -> None:  # noqa: A002 # textual's name of it
        super().__init__(id=id)
        self._label = label
        self._child = child

    def compose(self) -> ComposeResult:
        yield Static(plain_line(self._label), classes="label")
        yield self._child
