"""What all screens have in common: keys in the language spoken, classes by the terminal's size, a line on top."""

from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.binding import ActiveBinding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from dpo_tui.keys import key, translated

if TYPE_CHECKING:
    from dpo_tui.app import DpoApp

Result = TypeVar("Result")


class Localized(Screen[Result]):
    """A screen whose keys are named in the language spoken."""

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """Textual's own, with the descriptions and tooltips of the catalogues."""
        return {name: translated(active) for name, active in super().active_bindings.items()}

    @property
    def dpo(self) -> "DpoApp":
        """The app, by its own type."""
        return cast("DpoApp", self.app)


class DpoScreen(Localized[None]):
    """A whole screen: `-narrow` below 100 columns, `-wide` from 160, `-short` below 30 rows."""

    HORIZONTAL_BREAKPOINTS = [
        (0, "-narrow"),
        (100, "-medium"),
        (160, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]

    def action_back(self) -> None:
        """Close this screen."""
        self.dismiss()


class DpoModal(Localized[Result], ModalScreen[Result]):
    """A small screen over another: Esc closes it without a result."""

    BINDINGS: ClassVar[list[BindingType]] = [key("app.back", "escape", "cancel")]

    def action_cancel(self) -> None:
        """Close it, with nothing chosen."""
        self.dismiss(None)


class TitleBar(Horizontal):
    """The first line of a screen: what it is, and on the right what it is about."""

    DEFAULT_CSS = """
    TitleBar {
        height: 2; padding: 0 2; border-bottom: solid $foreground 20%;
        #title { width: 1fr; text-style: bold; text-wrap: nowrap; text-overflow: ellipsis; }
        #about { width: auto; max-width: 70%; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """

    def __init__(self, title: Content, about: Content | None = None) -> None:
        super().__init__()
        self._title = title
        self._about = about or Content("")

    def compose(self) -> ComposeResult:
        yield Static(self._title, id="title")
        yield Static(self._about, id="about")

    def tell(self, title: Content | None = None, about: Content | None = None) -> None:
        """Say something else."""
        if title is not None:
            self.query_one("#title", Static).update(title)
        if about is not None:
            self.query_one("#about", Static).update(about)
