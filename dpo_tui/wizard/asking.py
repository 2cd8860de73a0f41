"""What the wizard asks in a small screen: where to save, and whether to leave what is not saved."""

from pathlib import Path
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from dpo_tui.screens.base import DpoModal
from dpo_tui.text import t
from dpo_tui.text.explain import error_text
from dpo_tui.widgets.plain import plain, plain_line
from dpo_tui.widgets.plain_input import PlainInput
from dpo_tui.wizard.draft import Draft, FileInTheWay
from dpo_tui.wizard.naming import config_path
from engine.config.local import expanded
from engine.exits import EngineError

Leaving = Literal["save", "discard", "stay"]


class LeaveScreen(DpoModal[Leaving]):
    """The draft differs from its file, and somebody wants to go."""

    CHOICES: ClassVar[tuple[Leaving, ...]] = ("save", "discard", "stay")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(t("wizard.leave.title"), classes="heading", markup=False)
            options = [
                Option(plain_line(t(f"wizard.leave.{choice}", path=self._path)), id=choice)
                for choice in self.CHOICES
            ]
            yield OptionList(*options, compact=True)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(next(choice for choice in self.CHOICES if choice == event.option_id))


class SaveScreen(DpoModal[Path]):
    """Saves the draft where the person says. Another file there is overwritten at the second Enter only."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self._draft = draft
        self._asked_for: Path | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(t("wizard.save.title"), classes="heading", markup=False)
            yield PlainInput(str(config_path(self._draft)), compact=True, select_on_focus=False)
            yield Static(plain(t("wizard.save.hint")), classes="hint")

    def on_mount(self) -> None:
        """Typing goes on behind the name."""
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if not event.value.strip():
            return
        path = expanded(event.value.strip())
        try:
            self._draft.save(path, overwrite=path == self._asked_for)
        except FileInTheWay as error:
            self._asked_for = path
            self._say(t("wizard.save.changed" if error.params["ours"] else "wizard.save.exists"), "$warning")
        except EngineError as error:
            self._say(error_text(error), "$error")
        else:
            self.dismiss(path)

    def _say(self, text: str, style: str) -> None:
        self.query_one(".hint", Static).update(plain(text, style))
