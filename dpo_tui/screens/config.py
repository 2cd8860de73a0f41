"""A run's config on the screen, as it stands in its directory."""

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Footer

from dpo_tui.keys import key
from dpo_tui.screens.base import DpoModal
from dpo_tui.widgets.toml_view import TomlView


class ConfigScreen(DpoModal[None]):
    """A run's config, to read."""

    CSS = """
    ConfigScreen TomlView {
        width: 100; max-width: 96%; height: auto; max-height: 90%; padding: 1 2; background: $panel;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [key("notices.close", "c,q,enter", "cancel")]

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def compose(self) -> ComposeResult:
        yield TomlView()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Read it; one that cannot be read says why."""
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            text = f"# {error.strerror}: {self._path}"
        view = self.query_one(TomlView)
        view.show(text)
        view.focus()
