"""Uploading an export that is there already: to which repo, and who may see it."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from dpo_tui.hub.login import Login
from dpo_tui.keys import key
from dpo_tui.screens.base import DpoModal
from dpo_tui.text import t
from dpo_tui.widgets.export_form import HubRows
from dpo_tui.widgets.plain import plain, plain_line


class PushForm(DpoModal[tuple[str, bool]]):
    """Its result is a repo id, and whether it is private."""

    CSS = """
    PushForm { align: center middle; background: $background 70%; }
    PushForm .problem { color: $error; height: auto; }
    PushForm Input { background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [key("export.upload", "enter", "push")]

    def __init__(self, name: str) -> None:
        super().__init__()
        self._rows = HubRows("private", name, keep=False)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(plain_line(t("export.push.title")), classes="heading")
            yield self._rows
            yield Static(classes="problem")
            yield Static(plain(t("export.push.hint")), classes="hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the input means it as well."""
        event.stop()
        self.action_push()

    def hear(self, login: Login) -> None:
        """Who is logged in."""
        self._rows.hear(login)

    def action_push(self) -> None:
        """Upload, if nothing speaks against it."""
        if problem := self._rows.problem():
            self.query_one(".problem", Static).update(plain(problem))
        else:
            self.dismiss((self._rows.repo, self._rows.where != "public"))
