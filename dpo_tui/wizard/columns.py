"""Saying which columns hold a pair, where the layout of the rows cannot be told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Select, Static

from dpo_tui.preview import PreviewClient, PreviewError, Superseded
from dpo_tui.screens.base import DpoModal
from dpo_tui.text import has, t
from dpo_tui.widgets.columns import cell
from dpo_tui.widgets.labelled import Labelled
from dpo_tui.wizard.previewed import refusal
from engine.sanitize import one_line

PARTS = ("prompt", "chosen", "rejected", "system")
NEEDED = ("chosen", "rejected")
"""A prompt may stand in the completions themselves."""

NONE = ""
_NAME, _KIND = 22, 10


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the source shall say: columns by hand, or a format by name, or neither."""

    columns: dict[str, str] | None = None
    format: str | None = None


def mapped(chosen: Mapping[str, str], layout: str) -> Mapped | None:
    """What the choices mean; None while they make no pair. A format by name stands for all columns."""
    columns = {part: chosen[part] for part in PARTS if chosen.get(part, NONE) != NONE}
    if layout != NONE:
        return Mapped(format=layout)
    if not columns:
        return Mapped()
    whole = all(part in columns for part in NEEDED) and len(set(columns.values())) == len(columns)
    return Mapped(columns=columns) if whole else None


class ColumnsScreen(DpoModal[Mapped]):
    """The columns found with an example of each, and which of them is which part of a pair."""

    CSS_PATH = "columns.tcss"

    @dataclass
    class Found(Message):
        """The columns of the source, or why there are none to see."""

        answer: dict[str, Any] | None = None
        error: PreviewError | None = None

    def __init__(self, preview: PreviewClient, source: Mapping[str, Any]) -> None:
        super().__init__()
        self._preview = preview
        self._source = dict(source)
        self._detected = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="columns"):
            yield Static(t("columns.title"), classes="heading", markup=False)
            yield VerticalScroll(Static(t("columns.reading"), id="found"), id="table", can_focus=False)
            yield Vertical(id="parts")
            yield Static(id="incomplete", markup=False)
            yield Button(t("columns.use"), id="use", compact=True, disabled=True)
            yield Static(t("columns.hint"), classes="hint", markup=False)

    def on_mount(self) -> None:
        """Ask for the first rows; columns and format by hand are nothing to them."""
        self._read()

    @work(exclusive=True, exit_on_error=False)
    async def _read(self) -> None:
        plain = {key: value for key, value in self._source.items() if key not in ("columns", "format")}
        try:
            self.post_message(self.Found(await self._preview.ask("columns", source=plain)))
        except PreviewError as error:
            self.post_message(self.Found(error=error))
        except Superseded:
            pass

    @on(Found)
    async def _found(self, event: Found) -> None:
        if event.answer is None:
            self.query_one("#found", Static).update(refusal(event.error) if event.error else "")
            return
        columns = event.answer["columns"]
        self._detected = event.answer.get("detected") is not None
        self.query_one("#found", Static).update(_table(columns))
        await self.query_one("#parts").mount_all(self._selects(event.answer))
        self.query_one("#use", Button).disabled = False
        self.query(Select).first().focus()
        self._changed()

    def _selects(self, answer: Mapping[str, Any]) -> Iterator[Labelled]:
        names = [str(column["name"]) for column in answer["columns"]]
        given = self._source.get("columns")
        wanted = given if isinstance(given, dict) else answer.get("suggested", {})
        for part in PARTS:
            value = wanted.get(part)
            select = _select(t("columns.none"), names, value if value in names else NONE, part)
            yield Labelled(t(f"columns.part.{part}"), select)
        formats = [str(name) for name in answer.get("formats", ())]
        named = self._source.get("format")
        yield Labelled(
            t("columns.format"),
            _select(t("columns.auto"), formats, named if named in formats else NONE, "format"),
        )

    @on(Select.Changed)
    def _changed(self) -> None:
        """Ask for what is missing, from the start where no name told which column is meant."""
        result = self._mapped()
        asks = result is None or (result == Mapped() and not self._detected)
        self.query_one("#incomplete", Static).update(t("columns.incomplete") if asks else "")

    @on(Button.Pressed)
    def _use(self) -> None:
        if (result := self._mapped()) is not None:
            self.dismiss(result)
        else:
            self._changed()

    def _mapped(self) -> Mapped | None:
        values = {str(select.id): str(select.value) for select in self.query(Select)}
        return mapped(values, values.get("format", NONE))


def _select(nothing: str, names: Sequence[str], value: str | None, id_: str) -> Select[str]:
    words = [(Text(nothing), NONE), *((Text(one_line(name)), name) for name in names)]
    return Select(words, value=value or NONE, allow_blank=False, compact=True, id=id_)


def _table(columns: Sequence[Mapping[str, Any]]) -> Content:
    """A line for each column, cut by the widget where an example is long."""
    head = [t("columns.head.name"), t("columns.head.kind"), t("columns.head.example")]
    lines = [Content.assemble(cell(Content(head[0]), _NAME), cell(Content(head[1]), _KIND), head[2])]
    lines = [line.stylize("dim") for line in lines]
    for column in columns:
        kind = f"columns.kind.{column['kind']}"
        name = cell(Content(one_line(str(column["name"]))), _NAME - 1)
        said = cell(Content.styled(t(kind) if has(kind) else one_line(str(column["kind"])), "dim"), _KIND)
        lines.append(Content.assemble(name, " ", said, one_line(str(column["example"]))))
    return Content("\n").join(lines)
