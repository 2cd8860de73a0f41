"""An app that shows one widget of curves, in the app's own themes."""

from typing import Any

from textual.app import App, ComposeResult
from textual.widget import Widget

from dpo_tui.metrics.history import History
from dpo_tui.theme import DEFAULT, METRIC_HUES, METRIC_HUES_ANSI, THEMES
from tests.tui.fake_runs import healthy


class Shown(App[None]):
    """Shows a widget, alone."""

    def __init__(self, widget: Widget, theme: str = DEFAULT) -> None:
        super().__init__()
        self.widget = widget
        self._wanted = theme

    def get_theme_variable_defaults(self) -> dict[str, str]:
        theme = self.available_themes.get(self.theme)
        return METRIC_HUES_ANSI if theme is not None and theme.ansi else METRIC_HUES

    def on_load(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._wanted

    def compose(self) -> ComposeResult:
        yield self.widget


def events(steps: int, evaluated: int = 0) -> list[dict[str, Any]]:
    """The events of a healthy training; held-out pairs are evaluated every so many steps."""
    found: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        metrics = healthy(step, steps)
        found.append({"type": "step", "step": step, **metrics})
        if evaluated and step % evaluated == 0:
            found.append({"type": "eval", "step": step, **metrics, "loss": metrics["loss"] + 0.05})
    return found


def trained(steps: int, evaluated: int = 0) -> History:
    """The history of a healthy training."""
    history = History()
    history.take(events(steps, evaluated))
    return history
