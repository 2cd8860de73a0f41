"""Help: what the focused thing is, then every key that works there with what it does."""

from typing import Protocol, runtime_checkable

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Markdown, Static

from dpo_tui.screens.base import DpoModal
from dpo_tui.text import t


@runtime_checkable
class Helpful(Protocol):
    """Anything on a screen that can explain itself."""

    def help_text(self) -> str:
        """Markdown of our own making: nothing in it comes from outside."""


class HelpScreen(DpoModal[None]):
    """A page to read and close."""

    CSS = """
    HelpScreen VerticalScroll {
        width: 90; max-width: 96%; height: auto; max-height: 90%; background: $panel; padding: 1 2;
    }
    HelpScreen Markdown { padding: 0; margin: 0; background: $panel; }
    HelpScreen .heading { text-style: bold; margin-top: 1; }
    """

    def __init__(self, text: str, keys: Content) -> None:
        super().__init__()
        self._text = text
        self._keys = keys

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            if self._text:
                yield Markdown(self._text, open_links=False)
            yield Static(Content(t("app.help.keys")), classes="heading")
            yield Static(self._keys)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Arrow keys scroll at once."""
        self.query_one(VerticalScroll).focus()


def help_of(screen: Screen[object]) -> str:
    """What the focused widget, or the nearest thing around it, says of itself."""
    node = screen.focused or screen
    for ancestor in node.ancestors_with_self:
        if isinstance(ancestor, Helpful):
            return ancestor.help_text()
    return ""


def keys_of(screen: Screen[object]) -> Content:
    """A line for each key that has an id: the key, its name, what it does."""
    rows: dict[str, tuple[list[str], str, str]] = {}
    for _, binding, _, tip in screen.active_bindings.values():
        if binding.id is not None:
            keys = rows.setdefault(binding.id, ([], binding.description, tip))[0]
            keys.append(screen.app.get_key_display(binding))
    if not rows:
        return Content("")
    shown = {id_: ", ".join(dict.fromkeys(keys)) for id_, (keys, *_) in rows.items()}
    width = max(map(Content.from_text, shown.values()), key=lambda content: content.cell_length).cell_length
    lines = [
        Content.assemble(
            (shown[id_] + " " * (width - Content.from_text(shown[id_], markup=False).cell_length), "$accent"),
            "  ",
            (tip or name),
            (f"  {id_}", "dim"),
        )
        for id_, (_, name, tip) in rows.items()
    ]
    return Content("\n").join(lines)
