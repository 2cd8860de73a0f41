"""Jump mode: a letter on everything that can have the focus; pressing it goes there."""

from string import ascii_lowercase

from textual.app import ComposeResult
from textual.content import Content
from textual.events import Key
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from dpo_tui.screens.base import DpoModal
from dpo_tui.text import t

LETTERS = "asdfghjklqwertyuiopzxcvbnm"
assert sorted(LETTERS) == list(ascii_lowercase)


class JumpScreen(DpoModal[None]):
    """Lies over the screen it was opened on."""

    CSS = """
    JumpScreen { background: $background 30%; layers: labels; align: left top; }
    JumpScreen .label {
        layer: labels; position: absolute; width: 3; height: 1; text-align: center;
        background: $accent; color: $background; text-style: bold;
    }
    JumpScreen #jump-hint { dock: bottom; width: 1fr; height: 1; background: $panel; color: $text-muted; padding: 0 1; }
    """

    def __init__(self, under: Screen[object]) -> None:
        super().__init__()
        self._targets = dict(zip(LETTERS, jumpable(under), strict=False))

    def compose(self) -> ComposeResult:
        for letter, widget in self._targets.items():
            label = Static(Content(letter), classes="label")
            label.styles.offset = (widget.region.x, widget.region.y)
            yield label
        yield Static(Content(t("app.jump")), id="jump-hint")

    def on_key(self, event: Key) -> None:
        """A letter goes to its widget; any other key but Esc does nothing."""
        widget = self._targets.get(event.key)
        if widget is None:
            return
        event.stop()
        self.dismiss(None)
        self.app.call_later(widget.focus)


def jumpable(screen: Screen[object]) -> list[Widget]:
    """What is on the screen now and takes the focus, from top to bottom."""
    seen = [
        widget
        for widget in screen.focus_chain
        if widget.region.area and screen.region.contains_region(widget.region)
    ]
    return sorted(seen, key=lambda widget: (widget.region.y, widget.region.x))[: len(LETTERS)]
