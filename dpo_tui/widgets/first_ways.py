"""What can be done where there is no run yet: a line for each way, to press, to click, or to go to."""

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from dpo_tui.keys import key
from dpo_tui.text import t
from dpo_tui.widgets.plain import plain


class Way(Static, can_focus=True):
    """One way, by the key that takes it too."""

    DEFAULT_CSS = """
    Way { width: auto; }
    Way:focus { background: $block-cursor-background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        key("home.way", "enter", "take"),
        key("home.way_up", "up,k", "app.focus_previous"),
        key("home.way_down", "down,j", "app.focus_next"),
    ]

    def __init__(self, name: str, text: str, action: str) -> None:
        super().__init__(Content.assemble((f"{name}   ", "$accent bold"), t(text)))
        self._action = action

    async def action_take(self) -> None:
        """Do it."""
        await self.app.run_action(self._action, self.screen)

    async def on_click(self) -> None:
        """The mouse does it as well."""
        await self.action_take()


class FirstWays(Vertical):
    """Says that there is no run, what can be done, and where runs will be."""

    def __init__(self, where: str, *, id: str | None = None) -> None:  # noqa: A002 # textual's name of it
        super().__init__(id=id)
        self._where = where

    def compose(self) -> ComposeResult:
        yield Static(Content.styled(t("home.first.title"), "bold"))
        yield Static()
        yield from self._ways()
        yield Static()
        yield Static(plain(t("home.first.where", runs_dir=self._where), "dim"))

    def _ways(self) -> Iterator[Way]:
        yield Way("n", "home.first.new", "screen.new")
        yield Way("o", "home.first.config", "screen.config")
        yield Way("?", "home.first.help", "app.help")
