"""What is done with a run from a list of runs: resumed, stopped, deleted, each in the background."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from textual import on
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from dpo_tui import quantities
from dpo_tui.deleting import Doomed, delete, doomed
from dpo_tui.resuming import needs_confirmation, resume
from dpo_tui.run_list import RunRow
from dpo_tui.screens.base import DpoScreen
from dpo_tui.stopping import ask_to_stop
from dpo_tui.text import t
from dpo_tui.text.explain import error_text
from dpo_tui.widgets.confirm import Confirm, ask_if_gone
from dpo_tui.widgets.plain import plain, plain_line
from dpo_tui.widgets.run_detail import short_path
from engine.exits import EngineError
from engine.rundir.paths import RunDir


class RunActions(DpoScreen):
    """A screen with one run chosen, and a line `#said` for what came of an action."""

    @dataclass
    class Said(Message):
        """What came of something that was asked for; `then` is done on this screen."""

        text: str
        failed: bool = False
        then: Callable[[], object] | None = None

    @property
    def chosen(self) -> RunRow | None:
        """The run that actions are about."""
        raise NotImplementedError

    def read_again(self) -> None:
        """An action has changed something."""
        raise NotImplementedError

    @on(Said)
    def _said(self, event: Said) -> None:
        self.query_one("#said", Static).update(plain(event.text, "$error" if event.failed else "dim"))
        self.add_class("-said")
        if event.then is not None:
            event.then()
        self.read_again()

    def action_resume(self) -> None:
        """Let this run go on; where another machine may still train it, only when that is confirmed."""
        if (row := self.chosen) is None:
            return
        if needs_confirmation(row):
            self.dpo.push_screen(ask_if_gone(), partial(self._resume_if_sure, row.root))
        else:
            self._resume_if_sure(row.root, True)

    def action_no_resume(self) -> None:
        """Say why this run cannot go on, and what can be done instead."""
        if (row := self.chosen) is not None:
            told = t("home.resume.none", name=row.name, key=self.dpo.keys_of("home.open"))
            self.post_message(self.Said(told, failed=True))

    def _resume_if_sure(self, root: Path, sure: bool | None) -> None:
        if sure:
            self.post_message(self.Said(t("home.resuming", name=RunDir(root).name)))
            self._in_background(partial(self._resume, root))

    def _resume(self, root: Path) -> "RunActions.Said":
        name = RunDir(root).name
        if not resume(root, self.dpo.supervisor):
            return self.Said(t("home.resume.done", name=name))
        return self.Said(t("home.resuming", name=name), then=partial(self.dpo.run_started, root))

    def action_stop(self) -> None:
        """Ask, then ask the run."""
        if (row := self.chosen) is not None:
            question = Confirm(
                t("home.stop.title", name=row.name),
                [plain(t("home.stop.text"), "dim")],
                t("home.stop.yes"),
                t("home.stop.no"),
            )
            self.dpo.push_screen(question, partial(self._stop, row.root))

    def _stop(self, root: Path, sure: bool | None) -> None:
        def request() -> RunActions.Said:
            run = RunDir(root)
            ask_to_stop(run)
            return self.Said(t("home.stopping", name=run.name))

        if sure:
            self._in_background(request)

    def action_delete(self) -> None:
        """Look at what would go, ask, and delete."""
        if (row := self.chosen) is not None:
            self.post_message(self.Said(t("home.delete.measuring", name=row.name)))
            self._in_background(partial(self._measured, row.root))

    def _measured(self, root: Path) -> "RunActions.Said":
        found = doomed(root)
        return self.Said("", then=partial(self._ask_to_delete, found))

    def _ask_to_delete(self, found: Doomed) -> None:
        self.remove_class("-said")
        name = RunDir(found.root).name
        question = Confirm(
            t("home.delete.title", name=name),
            _what_goes(found),
            t("home.delete.yes"),
            t("home.delete.no"),
            danger=True,
        )
        self.dpo.push_screen(question, partial(self._delete, found.root))

    def _delete(self, root: Path, sure: bool | None) -> None:
        def removed() -> RunActions.Said:
            delete(root)
            return self.Said(t("home.deleted", name=RunDir(root).name))

        if sure:
            self._in_background(removed)

    def _in_background(self, job: "Callable[[], RunActions.Said]") -> None:
        """Do something that touches the disk; it ends even if this screen does not live to hear of it."""

        def work() -> None:
            try:
                self.post_message(job())
            except EngineError as error:
                self.post_message(self.Said(error_text(error), failed=True))
            except Exception as error:  # of a disk, of a damaged directory: words, not a traceback
                self.post_message(self.Said(f"{t('app.failed')}: {error}", failed=True))

        self.app.run_worker(work, thread=True, exit_on_error=False, group="runs")


def _what_goes(found: Doomed) -> list[Content]:
    count = found.checkpoints
    amount = {0: "none", 1: "one"}.get(count, "many")
    lines = [
        plain_line(t("home.delete.size", size=quantities.size(found.bytes), path=short_path(found.root)))
    ]
    lines.append(plain_line(t(f"home.delete.checkpoints.{amount}", count=count)))
    lines += [plain_line(t("home.delete.exported"))] if found.exported else []
    if found.silent:
        lines.append(plain(t("home.delete.silent"), "$warning"))
    return [*lines, plain_line(t("home.delete.final"), "dim")]
