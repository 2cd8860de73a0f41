"""The first screen: all runs, how each stands, and what can be done with the one under the cursor."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import ActiveBinding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, Static
from textual.worker import get_current_worker

from dpo_tui.keys import key
from dpo_tui.resuming import resumable
from dpo_tui.run_list import MOST_COMPARED, RunList, RunRow
from dpo_tui.runs import find
from dpo_tui.screens.base import TitleBar
from dpo_tui.screens.run_actions import RunActions
from dpo_tui.text import t
from dpo_tui.text.explain import error_text
from dpo_tui.widgets.confirm import Ask
from dpo_tui.widgets.first_ways import FirstWays, Way
from dpo_tui.widgets.plain import plain, plain_line
from dpo_tui.widgets.run_detail import detail, short_path
from dpo_tui.widgets.run_table import RunTable
from engine.config.local import expanded
from engine.exits import EngineError

REFRESH_SECONDS = 1.0
_SHARPENED = 25
"""Runs whose curves are read between two looks at the screen."""

_SHOWN_WITHOUT_RUNS = ("home.config", "home.attach", "app.help", "app.quit")
"""Ids of bindings that are in the footer only there."""

_ATTACHED = "attached"
"""What runs of other directories are remembered as."""


class HomeScreen(RunActions):
    """The list of runs. It is under all other screens, and reads nothing while one of them covers it."""

    CSS_PATH = "home.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("home.new", "n", "new", show=True),
        key("home.open", "enter", "open", show=True),
        key("home.resume", "r", "resume", show=True),
        key("home.no_resume", "r", "no_resume"),
        key("home.stop", "s", "stop", show=True),
        key("home.compare", "c", "compare", show=True),
        key("home.export", "e", "export", show=True),
        key("home.delete", "x,delete", "delete", show=True),
        key("home.config", "o", "config"),
        key("home.attach", "a", "attach"),
    ]

    @dataclass
    class Listed(Message):
        """The runs as they stand now; `last` when no more of this reading comes."""

        rows: Sequence[RunRow]
        last: bool

        def can_replace(self, message: Message) -> bool:
            """Only the newest list counts."""
            return isinstance(message, HomeScreen.Listed) and not message.last

    @dataclass
    class Unreadable(Message):
        """The runs cannot be read."""

        text: str

    def __init__(self, runs_dir: Path) -> None:
        super().__init__()
        self._runs_dir = runs_dir
        self._list = RunList(runs_dir)
        self._reading = False
        self._rows: list[RunRow] = []

    def compose(self) -> ComposeResult:
        yield TitleBar(Content(t("home.title")), self._about())
        yield Static(plain(t("home.loading")), id="wait")
        yield FirstWays(short_path(self._runs_dir), id="first")
        yield RunTable()
        yield Static(id="detail")
        yield Static(id="said")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Read the runs, and again every second."""
        self._look("loading")
        self._read()
        self.set_interval(REFRESH_SECONDS, self._read)

    def on_screen_resume(self) -> None:
        """What was covered may have changed."""
        self._read()

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """Where no run is listed there is room in the footer for what can be done without one."""
        found = super().active_bindings
        if self.has_class("-list"):
            return found
        shown = {
            name: active._replace(binding=replace(active.binding, show=True))
            for name, active in found.items()
            if active.binding.id in _SHOWN_WITHOUT_RUNS and name != "f1"  # ? says the same
        }
        return {**found, **shown}

    def help_text(self) -> str:
        """What the list shows."""
        return t("home.help")

    def _read(self) -> None:
        if not self._reading and (self.is_current or not self._rows):
            self._reading = True
            self._read_runs([Path(str(path)) for path in self.dpo.recents.recall(_ATTACHED)])

    @work(thread=True, group="list", exit_on_error=False)
    def _read_runs(self, elsewhere: Sequence[Path]) -> None:
        try:
            self._tell_runs(elsewhere)
        except EngineError as error:
            self.post_message(self.Unreadable(error_text(error)))
        except Exception as error:  # whatever it is, it is said, and the list is read again
            self.post_message(self.Unreadable(f"{t('app.failed')}: {type(error).__name__}: {error}"))

    def _tell_runs(self, elsewhere: Sequence[Path]) -> None:
        """The states first, the curves behind them, the topmost run's first."""
        rows = self._list.read(elsewhere)
        self.post_message(self.Listed(rows, last=False))
        places = {row.root: place for place, row in enumerate(rows)}
        for count, row in enumerate(self._list.read_curves(list(rows)), start=1):
            rows[places[row.root]] = row
            if count % _SHARPENED == 0:
                self.post_message(self.Listed(list(rows), last=False))
            if get_current_worker().is_cancelled:
                return
        self.post_message(self.Listed(rows, last=True))

    @on(Listed)
    def _listed(self, event: Listed) -> None:
        if event.last:
            self._reading = False
        self._rows = list(event.rows)
        table = self.query_one(RunTable)
        table.show(self._rows)
        self._look("list" if self._rows else "empty")
        if self.is_current and (self.focused is None or isinstance(self.focused, Way) is bool(self._rows)):
            (table if self._rows else self.query(Way).first()).focus()
        self.query_one(TitleBar).tell(about=self._about())

    @on(Unreadable)
    def _unreadable(self, event: Unreadable) -> None:
        self._reading = False
        self._rows = []
        self.query_one("#wait", Static).update(plain(event.text, "$error"))
        self._look("unreadable")

    def _look(self, state: str) -> None:
        for other in ("loading", "unreadable", "empty", "list"):
            self.set_class(other == state, f"-{other}")
        self.refresh_bindings()

    def _about(self) -> Content:
        count, live = len(self._rows), sum(row.state == "running" for row in self._rows)
        parts = [t("home.runs.one") if count == 1 else t("home.runs.many", count=count)] if count else []
        parts += [t("home.live", count=live)] if live else []
        marked = len(self.query_one(RunTable).marked) if self.is_mounted and self._rows else 0
        parts += [t("home.marked", count=marked)] if marked else []
        return plain_line(" · ".join([*parts, short_path(self._runs_dir)]))

    @on(RunTable.Moved)
    def _moved(self, event: RunTable.Moved) -> None:
        if event.by_person:
            self.remove_class("-said")
        self.query_one("#detail", Static).update(detail(event.row) if event.row else "")
        self.refresh_bindings()

    @on(RunTable.Marked)
    def _marked(self) -> None:
        self.query_one(TitleBar).tell(about=self._about())

    @on(RunTable.Opened)
    def _opened(self) -> None:
        self.action_open()

    @property
    def chosen(self) -> RunRow | None:
        """The run under the cursor."""
        return self.query_one(RunTable).current if self.is_mounted else None

    def read_again(self) -> None:
        """Look at the runs now, not in a second."""
        self._read()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what can be done with this run has a key in the footer."""
        row = self.chosen
        whole = row is not None and row.state != "broken"
        match action:
            case "open" | "export":
                return whole
            case "compare":
                return len(self._rows) > 1
            case "resume":
                return row is not None and (
                    row.problem == "bad_status" or (resumable(row) and row.checkpoint)
                )
            case "no_resume":
                return row is not None and resumable(row) and not row.checkpoint
            case "stop":
                return row is not None and row.live
            case "delete":
                return row is not None and not row.live
            case _:
                return super().check_action(action, parameters)

    def action_new(self) -> None:
        """The wizard, from a template."""
        self.dpo.open_wizard()

    def action_open(self) -> None:
        """The monitor of this run."""
        if self.chosen is not None:
            self.dpo.open_monitor(self.chosen.root)

    def action_export(self) -> None:
        """A model of this run."""
        if self.chosen is not None:
            self.dpo.open_export(self.chosen.root)

    def action_compare(self) -> None:
        """The marked runs, else this one and the one below."""
        table = self.query_one(RunTable)
        marked = table.marked or [row for row in (table.current, table.below) if row is not None]
        roots = [row.root for row in marked if row.state != "broken"]
        if len(roots) > MOST_COMPARED:
            self.post_message(self.Said(t("home.compare.many", count=len(roots)), failed=True))
        elif len(roots) < 2:
            self.post_message(self.Said(t("home.compare.few"), failed=True))
        else:
            self.dpo.open_compare(roots)

    def action_config(self) -> None:
        """The wizard, with a config of the person's."""

        def opened(text: str | None) -> None:
            if text is not None:
                self.dpo.recents.remember("config", text)
                self.dpo.open_wizard(expanded(text).absolute())

        before = [str(path) for path in self.dpo.recents.recall("config")]
        self.dpo.push_screen(Ask(t("home.config.title"), before, _no_config, placeholder="run.toml"), opened)

    def action_attach(self) -> None:
        """A run of another directory."""

        def opened(text: str | None) -> None:
            if text is not None:
                root = find(text, self._runs_dir)
                if root.parent != self._runs_dir:
                    self.dpo.recents.remember(_ATTACHED, str(root))
                self.dpo.open_monitor(root)

        before = [str(path) for path in self.dpo.recents.recall(_ATTACHED)]
        no_run = partial(_no_run, self._runs_dir)
        self.dpo.push_screen(
            Ask(t("home.attach.title"), before, no_run, placeholder="~/other/runs/name"), opened
        )


def _no_config(text: str) -> str:
    return "" if text and os.path.isfile(expanded(text)) else t("home.config.missing")


def _no_run(runs_dir: Path, text: str) -> str:
    try:
        find(text, runs_dir)
    except EngineError as error:
        return error_text(error)
    return ""
