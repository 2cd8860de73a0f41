"""One of the sources of pairs: which of several is edited, and the fields of its keys."""

from collections.abc import Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from dpo_tui.text import t
from dpo_tui.widgets.choice import Choice
from dpo_tui.widgets.field import Field
from dpo_tui.widgets.labelled import Labelled
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.origins import SOURCES

MAIN = ("source", "path", "subset", "split", "format", "limit")
MORE = ("revision", "streaming", "columns", "exclude", "weight", "min_margin")
OF_HUB = ("subset", "split", "revision", "streaming")
"""Keys that only a dataset of a hub has."""
STREAMED = "streaming"
"""The one of them that ModelScope's have not."""


def sources_of(draft: Draft) -> list[dict[str, Any]]:
    """The tables of the sources, whatever else is wrong with the draft; an entry that is none counts as empty."""
    data = draft.values().get("data")
    sources = data.get("sources") if isinstance(data, dict) else None
    return [one if isinstance(one, dict) else {} for one in sources] if isinstance(sources, list) else []


class SourceBar(Vertical):
    """Which of several sources is edited; nothing while there is one."""

    DEFAULT_CSS = "SourceBar { height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self._names: list[str] = []

    def show(self, names: Sequence[str], at: int) -> None:
        """Show the sources' names, the one that is edited marked."""
        shown = list(names) if len(names) > 1 else []
        if shown != self._names:
            self._names = shown
            self.remove_children()
            words = [(str(number), f"{number + 1} {name}") for number, name in enumerate(shown)]
            self.mount_all([Labelled(t("data_step.sources"), Choice(words, str(at)))] if shown else [])
        for choice in self.query(Choice):
            choice.value = str(at)


class SourceFields(Vertical):
    """Fields of some keys of one source."""

    DEFAULT_CSS = """
    SourceFields {
        height: auto;
        .of-hub, .of-stream, .of-path { height: auto; }
        .of-hub, .of-stream, .of-scope { display: none; }
        &.-hub .of-hub, &.-hub .of-stream, &.-modelscope .of-hub, &.-modelscope .of-scope { display: block; }
        .of-scope { color: $text-muted; padding-left: 20; height: auto; }
        .of-path .unit { display: none; }
        .of-path:focus-within .unit { display: block; }
        &.-builtin .of-path:focus-within .unit, &.-modelscope .of-path:focus-within .unit { display: none; }
    }
    """

    def __init__(self, draft: Draft, names: Sequence[str]) -> None:
        super().__init__()
        self._draft = draft
        self._names = names
        self._at = 0

    def compose(self) -> ComposeResult:
        yield from self._fields()

    def show(self, at: int) -> None:
        """Be about another source."""
        if at != self._at:
            self._at = at
            self.remove_children()
            self.mount_all(list(self._fields()))

    def dress(self, source: str) -> None:
        """Show what a source of this kind has."""
        for kind in SOURCES:
            self.set_class(kind == source, f"-{kind}")

    def _fields(self) -> ComposeResult:
        for name in self._names:
            field = Field(f"data.sources.{self._at}.{name}", self._draft)
            if name == "path":
                yield Vertical(field, classes="of-path")
                yield Static(t("wizard.no_search"), classes="of-scope", markup=False)
            elif name in OF_HUB:
                yield Vertical(field, classes="of-stream" if name == STREAMED else "of-hub")
            else:
                yield field
