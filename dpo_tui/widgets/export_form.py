"""What is exported, and where to: five rows, all of them filled in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.cells import cell_len, set_cell_size
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from dpo_tui.export_facts import DTYPES, Checkpoint, ExportFacts, folder_problem, replaced_export
from dpo_tui.exporting import ExportPlan
from dpo_tui.hub.login import Login
from dpo_tui.keys import key
from dpo_tui.metrics.numbers import short
from dpo_tui.text import t
from dpo_tui.widgets.choice import Choice
from dpo_tui.widgets.plain import plain
from dpo_tui.widgets.plain_input import PlainInput
from dpo_tui.widgets.run_detail import short_path
from engine.config.checks import is_repo_id
from engine.config.local import expanded

Where = Literal["keep", "private", "public"]

_MOST_CHECKPOINTS = 8
"""Checkpoints to choose from: a run that kept more has them by the command line."""


class Row(Horizontal):
    """A name, and what belongs to it."""

    DEFAULT_CSS = """
    Row { height: auto; margin-bottom: 1; }
    Row > .label { width: 12; color: $text-muted; }
    Row > Input { width: 1fr; max-width: 90; background: $panel; padding: 0 1; }
    """

    def __init__(self, label: str, *widgets: Widget, id: str | None = None) -> None:  # noqa: A002 # textual's name
        super().__init__(Static(plain(label), classes="label"), *widgets, id=id)


class Steps(Choice):
    """Checkpoints stand below each other: up and down choose as well."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("export.newer", "up", "move(-1)"),
        key("export.older", "down", "move(1)"),
    ]


class HubRows(Vertical):
    """Whether and where to upload, and as whom."""

    DEFAULT_CSS = """
    HubRows { height: auto; }
    HubRows #login { margin: 0 0 1 12; height: auto; color: $text-muted; }
    HubRows.-keep #repo-row, HubRows.-keep #login { display: none; }
    """

    @dataclass
    class Wanted(Message):
        """An upload is wanted: somebody should find out who is logged in."""

    def __init__(self, where: Where, repo: str, *, keep: bool = True) -> None:
        """`keep`: whether not to upload is one of the choices."""
        super().__init__(classes="-keep" if where == "keep" else "")
        self._where: Where = where
        self._repo = repo
        self._model = repo.rpartition("/")[2]
        self._choices: tuple[Where, ...] = ("keep", "private", "public") if keep else ("private", "public")
        self.login: Login | None = None

    def compose(self) -> ComposeResult:
        words = [(where, t(f"export.hub.{where}")) for where in self._choices]
        yield Row(t("export.row.hub"), Choice(words, self._where))
        yield Row(
            t("export.row.repo"), PlainInput(self._repo, placeholder="me/name", compact=True), id="repo-row"
        )
        yield Static(plain(t("export.login.asking")), id="login")

    def on_mount(self) -> None:
        """Somebody who wants an upload from the start is asked for at once."""
        if self.login is not None:
            self.hear(self.login)
        elif self._where != "keep":
            self.post_message(self.Wanted())

    @property
    def where(self) -> Where:
        """Kept here, or uploaded for oneself or for all."""
        return self._where

    @property
    def repo(self) -> str:
        """The repo's id, as typed."""
        return self.query_one(Input).value.strip()

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        event.stop()
        self._where = event.value  # type: ignore[assignment] # one of `_choices`
        self.set_class(self._where == "keep", "-keep")
        if self._where != "keep" and self.login is None:
            self.post_message(self.Wanted())

    def hear(self, login: Login) -> None:
        """Who is logged in. The repo is theirs unless another was typed."""
        self.login = login
        if not self.query(Input):
            return  # it is said when there is a place for it
        sign, style = ("✓", "$success") if login.standing == "ok" else ("✗", "$warning")
        said = t(f"export.login.{login.standing}", name=login.name)
        self.query_one("#login", Static).update(plain(f"{sign} {said}", style))
        field = self.query_one(Input)
        if login.standing == "ok" and field.value in ("", self._model):
            field.value = f"{login.name}/{self._model}"

    def problem(self) -> str:
        """What keeps the upload from being tried; empty where nothing does."""
        if self._where == "keep":
            return ""
        if not is_repo_id(self.repo):
            return t("export.repo.invalid")
        if self.login is None:
            return t("export.login.asking")
        return "" if self.login.may_push else t(f"export.login.{self.login.standing}", name="")


class ExportForm(Vertical):
    """The choices of one export."""

    DEFAULT_CSS = """
    ExportForm { height: auto; padding: 1 2 0 2; }
    ExportForm .problem { margin: 0 0 1 12; color: $error; height: auto; display: none; }
    ExportForm .problem.-shown { display: block; }
    ExportForm .problem.-doubtful { color: $warning; }
    ExportForm .damaged { margin: 0 0 1 12; color: $warning; height: auto; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        key("export.row_up", "up", "screen.focus_previous"),
        key("export.row_down", "down", "screen.focus_next"),
    ]

    def __init__(self, facts: ExportFacts, name: str) -> None:
        super().__init__()
        self._facts = facts
        self._model = name

    def compose(self) -> ComposeResult:
        facts = self._facts
        offered = _offered(facts.checkpoints)
        shown = _aligned([_words(checkpoint) for checkpoint in offered])
        steps = [str(checkpoint.step) for checkpoint in offered]
        yield Row(
            t("export.row.checkpoint"),
            Steps(list(zip(steps, shown, strict=True)), str(facts.step)),
            id="step",
        )
        if others := len(facts.checkpoints) - len(offered):
            yield Static(plain(t("export.others", count=others)), classes="damaged")
        for step, problem in facts.damaged:
            yield Static(plain(t("export.damaged", step=step, problem=problem)), classes="damaged")
        if facts.lora:
            kinds = [(kind, t(f"export.kind.{kind}")) for kind in ("merged", "adapter")]
            yield Row(
                t("export.row.kind"), Choice(kinds, "adapter" if facts.adapter else "merged"), id="kind"
            )
        yield Row(t("export.row.dtype"), Choice([(name, name) for name in DTYPES], facts.dtype), id="dtype")
        yield Row(
            t("export.row.folder"),
            PlainInput(short_path(facts.to), compact=True, id="folder-input"),
            id="folder",
        )
        yield Static(classes="problem")
        where: Where = "keep" if facts.push is None else "private" if facts.private else "public"
        yield HubRows(where, facts.push or self._model)

    def help_text(self) -> str:
        """What the choices mean."""
        return t("export.help")

    @on(Input.Changed, "#folder-input")
    def _typing(self, event: Input.Changed) -> None:
        problem = folder_problem(event.value)
        told = problem or replaced_export(event.value)
        shown = self.query_one(".problem", Static)
        shown.update(plain(told))
        shown.set_class(bool(told), "-shown")
        shown.set_class(not problem, "-doubtful")

    def problem(self) -> str:
        """What keeps this from being exported; empty where nothing does."""
        return folder_problem(self._folder) or self.query_one(HubRows).problem()

    @property
    def _folder(self) -> str:
        return self.query_one("#folder-input", Input).value.strip()

    def plan(self) -> ExportPlan:
        """What was chosen."""
        hub = self.query_one(HubRows)
        return ExportPlan(
            step=int(self.query_one("#step Choice", Choice).value or 0),
            adapter=bool(self.query("#kind")) and self.query_one("#kind Choice", Choice).value == "adapter",
            dtype=self.query_one("#dtype Choice", Choice).value or self._facts.dtype,
            to=expanded(self._folder).absolute(),
            push=None if hub.where == "keep" else hub.repo,
            private=hub.where != "public",
        )


def _offered(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """The newest, and the best."""
    return [point for place, point in enumerate(checkpoints) if place < _MOST_CHECKPOINTS or point.best]


def _words(checkpoint: Checkpoint) -> list[str]:
    marks = [mark for mark in ("latest", "best") if getattr(checkpoint, mark)]
    return [
        f"step-{checkpoint.step}",
        "" if checkpoint.loss is None else t("export.loss", loss=short(checkpoint.loss)),
        "" if checkpoint.accuracy is None else t("export.accuracy", accuracy=f"{checkpoint.accuracy:.2f}"),
        t("export.marks", marks=t("export.marks.join").join(t(f"export.{mark}") for mark in marks))
        if marks
        else "",
    ]


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return ["  ".join(map(set_cell_size, row, widths)) for row in rows]
