"""A question before something that cannot be taken back, and a line of text asked for."""

from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from dpo_tui.screens.base import DpoModal
from dpo_tui.text import t
from dpo_tui.widgets.plain import plain, plain_line
from dpo_tui.widgets.plain_input import PlainInput


class Confirm(DpoModal[bool]):
    """True when confirmed. The harmless answer comes first, so that a hasty Enter changes nothing."""

    CSS = """
    Confirm { align: center middle; background: $background 70%; }
    Confirm .lines { height: auto; margin-bottom: 1; }
    Confirm OptionList { background: $panel; border: none; padding: 0; height: auto; }
    """

    def __init__(
        self, title: str, lines: Sequence[Content], yes: str, no: str, *, danger: bool = False
    ) -> None:
        """`danger` draws the answer `yes` in the colour of errors."""
        super().__init__()
        self._title = title
        self._lines = lines
        self._answers = (
            Option(plain_line(no), id="no"),
            Option(plain_line(yes, "$error" if danger else ""), id="yes"),
        )

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(plain_line(self._title), classes="heading")
            if self._lines:
                yield Static(Content("\n").join(self._lines), classes="lines")
            yield OptionList(*self._answers, compact=True)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id == "yes")


def ask_if_gone() -> Confirm:
    """Before a run is resumed here that another machine may still train."""
    title, about, yes, no = (t(f"monitor.silent.{part}") for part in ("title", "about", "yes", "no"))
    return Confirm(title, [plain(about, "dim")], yes, no, danger=True)


class Ask(DpoModal[str]):
    """A line of text, typed or one of those given before. None when nothing was chosen."""

    CSS = """
    Ask { align: center middle; background: $background 70%; }
    Ask Input { background: $surface; padding: 0 1; }
    Ask .problem { color: $error; height: auto; min-height: 1; }
    Ask OptionList { background: $panel; border: none; padding: 0; height: auto; max-height: 8; margin-top: 1; }
    """

    def __init__(
        self, title: str, before: Sequence[str], check: Callable[[str], str], *, placeholder: str = ""
    ) -> None:
        """`check` says what is wrong with a text; nothing when it can be used."""
        super().__init__()
        self._title = title
        self._before = list(before)
        self._check = check
        self._placeholder = placeholder

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(plain_line(self._title), classes="heading")
            yield PlainInput(placeholder=self._placeholder, compact=True)
            yield Static(classes="problem")
            if self._before:
                yield OptionList(*(Option(plain_line(text)) for text in self._before), compact=True)
            yield Static(plain(t("home.ask.hint")), classes="hint")

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        self._take(event.value.strip())

    @on(Input.Changed)
    def _typing(self) -> None:
        self.query_one(".problem", Static).update("")

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self._take(self._before[event.option_index])

    def _take(self, text: str) -> None:
        if problem := self._check(text):
            self.query_one(".problem", Static).update(plain(problem))
        else:
            self.dismiss(text)
