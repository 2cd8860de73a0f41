"""The question that leaving asks while a run trains."""

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from dpo_tui.screens.base import DpoModal
from dpo_tui.text import t
from dpo_tui.widgets.plain import plain, plain_line


class QuitScreen(DpoModal[str]):
    """Answers "detach", the default, or "stop"; None stays."""

    CHOICES: ClassVar[tuple[str, ...]] = ("detach", "stop", "cancel")

    def __init__(self, names: Sequence[str], command: str) -> None:
        super().__init__()
        self._names = names
        self._command = command

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(plain_line(t("app.quit.title", name=", ".join(self._names))), classes="heading")
            options = [Option(plain(t(f"app.quit.{choice}")), id=choice) for choice in self.CHOICES]
            yield OptionList(*options, compact=True)
            yield Static(plain(t("app.quit.hint", command=self._command)), classes="hint")

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(None if event.option_id == "cancel" else event.option_id)
