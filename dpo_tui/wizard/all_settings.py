"""Every key there is, by its table: what no step shows is set here."""

from collections.abc import Iterator
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Footer, Input, Static

from dpo_tui.keys import key
from dpo_tui.screens.base import DpoScreen, TitleBar
from dpo_tui.text import t
from dpo_tui.text.fields import field_help, field_label
from dpo_tui.widgets.field import Field
from dpo_tui.widgets.plain import plain_line
from dpo_tui.widgets.plain_input import PlainInput
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.kinds import leaf_keys, schema_path
from engine.config.schema import Source


class AllSettings(DpoScreen):
    """A long list with a filter on top. It edits the same draft, so that leaving it loses nothing."""

    CSS_PATH = "wizard.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("app.back", "escape", "back", show=True),
        key("settings.filter", "f3", "filter", show=True),
    ]

    def __init__(self, draft: Draft, at: str = "") -> None:
        """`at`: the key to begin at."""
        super().__init__()
        self._draft = draft
        self._first = at

    def compose(self) -> ComposeResult:
        yield TitleBar(Content(t("wizard.all.title")), Content(t("wizard.all.about")))
        yield PlainInput(placeholder=t("wizard.all.filter"), compact=True, id="filter")
        with VerticalScroll(id="settings", can_focus=False):
            for table, keys in sections(self._draft):
                yield Static(plain_line(table), classes="heading")
                for name in keys:
                    yield Field(name, self._draft)
            yield Static(t("wizard.all.none"), id="nothing", classes="note", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Start at the filter, as there are many, or at the one that is wanted."""
        self.query_one("#nothing").display = False
        self.action_filter()
        for field in self.query(Field):
            if f"{self._first}.".startswith(f"{field.key}."):
                field.focus_value()

    def action_filter(self) -> None:
        """Type a part of a name."""
        self.query_one("#filter", Input).focus()

    @on(Input.Changed, "#filter")
    def _filtered(self, event: Input.Changed) -> None:
        words = event.value.lower().split()
        heading: Static | None = None
        shown = 0
        for child in self.query_one("#settings").children:
            if isinstance(child, Field):
                child.display = all(word in _searched(child.key) for word in words)
                shown += child.display
                if heading is not None and child.display:
                    heading.display = True
            elif isinstance(child, Static) and child.has_class("heading"):
                heading, child.display = child, False
        self.query_one("#nothing").display = not shown

    @on(Field.Changed)
    def _changed(self) -> None:
        for field in self.query(Field):
            field.refresh_from_draft()


def sections(draft: Draft) -> Iterator[tuple[str, list[str]]]:
    """Every key by its table, those of each data source too."""
    for table, keys in leaf_keys().items():
        yield f"[{table}]", keys
        if table == "data":
            yield from _sources(draft)


def _sources(draft: Draft) -> Iterator[tuple[str, list[str]]]:
    given = draft.get("data.sources")
    for index in range(len(given) if isinstance(given, list) else 0):
        names = [f"data.sources.{index}.{name}" for name in Source.model_fields]
        yield f"[[data.sources]] {index + 1}", names


def _searched(name: str) -> str:
    """What a filter looks into: the key, its label and its help."""
    path = schema_path(name)
    return f"{name} {field_label(path)} {field_help(path)}".lower()
