"""What a person should know of a run: the engine's warnings and what its curves tell, in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Footer, Static

from dpo_tui import clock
from dpo_tui.keys import key
from dpo_tui.metrics.history import History
from dpo_tui.metrics.insights import insights
from dpo_tui.metrics.numbers import ago
from dpo_tui.screens.base import DpoModal
from dpo_tui.text import t
from dpo_tui.text.explain import advice, explain
from dpo_tui.widgets.fitted_line import fitted
from dpo_tui.widgets.plain import plain, plain_line


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know, in the language spoken, unsanitized; `time` None: it is so now."""

    text: str
    advice: str
    time: float | None = None
    count: int = 1
    minor: bool = False
    """A remark, no reason to worry."""

    @property
    def sign(self) -> tuple[str, str]:
        """The glyph before it, and its style."""
        return ("•", "dim") if self.minor else ("⚠", "$warning")


def notices_of(history: History) -> list[Notice]:
    """All there is to know, the newest first: what the curves tell now, then the engine's warnings."""
    told = [
        Notice(insight.text, insight.advice, minor=insight.severity == "note")
        for insight in insights(history)
    ]
    warned = [
        Notice(
            explain(warning.code, warning.text, warning.params),
            advice(warning.code, warning.params),
            warning.time or 0.0,
            warning.count,
        )
        for warning in history.warnings
    ]
    return [*told, *sorted(warned, key=lambda notice: notice.time or 0.0, reverse=True)]


class NoticeLine(Widget):
    """The newest notice in one line, how many others there are, and the key that explains them."""

    DEFAULT_CSS = "NoticeLine { height: 1; padding: 0 2; }"

    def __init__(self) -> None:
        super().__init__()
        self._notices: Sequence[Notice] = ()
        self.display = False

    def show(self, notices: Sequence[Notice]) -> None:
        """Draw them; nothing is shown where there are none."""
        if notices != self._notices:
            self._notices = notices
            self.display = bool(notices)
            self.refresh()

    def render(self) -> Content:
        """The notice cut where the line ends, its key always there."""
        if not self._notices:
            return Content("")
        first, *others = self._notices
        more = [Content.styled(t("notices.more", n=len(others)), "dim")] if others else []
        why = Content.assemble(("w", "$accent"), f" {t('notices.why')}")
        room = self.size.width - why.cell_length - sum(piece.cell_length + 3 for piece in more) - 5
        text = plain_line(first.text.splitlines()[0] if first.text else "").truncate(
            max(1, room), ellipsis=True
        )
        return fitted([Content.assemble(first.sign, " ", text)], [*more, why], self.size.width)


class NoticesScreen(DpoModal[None]):
    """Every notice with what it means and what to do."""

    CSS = """
    NoticesScreen VerticalScroll {
        width: 96; max-width: 96%; height: auto; max-height: 85%; padding: 1 2; background: $panel;
    }
    NoticesScreen Static { height: auto; width: 1fr; margin-bottom: 1; }
    NoticesScreen .heading { text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [key("notices.close", "w,q,enter", "cancel")]

    def __init__(self, notices: Sequence[Notice]) -> None:
        super().__init__()
        self._notices = notices

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(Content(t("notices.title")), classes="heading")
            for notice in self._notices:
                yield Static(told(notice))
            if not self._notices:
                yield Static(Content(t("notices.none")))
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Arrow keys scroll at once."""
        self.query_one(VerticalScroll).focus()


def told(notice: Notice) -> Content:
    """The notice, when and how often it came, and below it what to do."""
    about = []
    if notice.time:
        about.append(ago(clock.now() - notice.time))
    if notice.count > 1:
        about.append(t("notices.count", n=notice.count))
    head = Content.assemble(
        notice.sign,
        " ",
        plain(notice.text),
        (f"  {'  '.join(about)}" if about else "", "dim"),
    )
    return Content("\n").join([head, plain(notice.advice, "dim")]) if notice.advice else head
