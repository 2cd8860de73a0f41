"""What is done with a run's export: started, uploaded, asked, cancelled, each only when it can be."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.binding import BindingType
from textual.message import Message
from textual.widgets import Input, Static

from dpo_tui import exporting
from dpo_tui.export_facts import ExportFacts
from dpo_tui.export_story import Result, StoryFollower
from dpo_tui.exporting import ExportPlan
from dpo_tui.hub.login import Login, login
from dpo_tui.keys import key
from dpo_tui.screens.base import DpoScreen
from dpo_tui.text import t
from dpo_tui.text.explain import error_text
from dpo_tui.widgets.answers import Answers
from dpo_tui.widgets.confirm import Confirm
from dpo_tui.widgets.export_form import ExportForm, HubRows
from dpo_tui.widgets.export_view import ExportView
from dpo_tui.widgets.plain import plain
from dpo_tui.widgets.push_form import PushForm
from engine.exits import EngineError
from engine.rundir.paths import RunDir


class ExportActions(DpoScreen):
    """A screen about the exports of the run in `root`, with a line `#said` for what came of an action."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("export.start", "enter", "start", show=True),
        key("export.push", "u", "push", show=True),
        key("export.copy", "y", "copy", show=True),
        key("export.ask", "a", "ask", show=True),
        key("export.again", "n", "again", show=True),
        key("export.cancel", "x", "cancel_export", show=True),
        key("export.before", "left", "turn(-1)"),
        key("export.next", "right", "turn(1)"),
        key("app.back", "escape,q", "back", show=True),
    ]

    @dataclass
    class Started(Message):
        """An export runs now, or could not be started."""

        problem: str = ""

    @dataclass
    class LoggedIn(Message):
        """Who the hub says is logged in."""

        login: Login

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.run_dir = RunDir(root)
        self.follower = StoryFollower(self.run_dir.export_events)
        self.facts: ExportFacts | None = None
        self.result: Result | None = None
        self.exporting = False
        self._starting = False
        self._login: Login | None = None

    def look(self) -> None:
        """See what there is."""
        raise NotImplementedError

    def follow_anew(self) -> None:
        """An export has begun."""
        raise NotImplementedError

    def action_again(self) -> None:
        """Choose anew."""
        raise NotImplementedError

    def say(self, text: str, *, failed: bool = False) -> None:
        """What came of something that was asked for."""
        self.query_one("#said", Static).update(plain(text, "$error" if failed else "$success"))
        self.set_class(bool(text), "-said")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what can be done now has a key."""
        form, typing = self.has_class("-form"), isinstance(self.focused, Input)
        exported = self.is_mounted and self.query_one(ExportView).exported
        match action:
            case "start":
                return form
            case "push" | "copy":
                return exported and not form
            case "ask":
                return exported and not form and not self.follower.story.answers
            case "again":
                return self.has_class("-story") and not self.exporting and bool(self.query(ExportForm))
            case "cancel_export":
                return self.exporting and exporting.may_cancel(self.run_dir)
            case "turn":
                return not form and not typing
            case _:
                return super().check_action(action, parameters)

    @on(Input.Submitted)
    def action_start(self) -> None:
        """Export what was chosen; what everybody shall see is asked for once more."""
        form = self.query_one(ExportForm)
        if problem := form.problem():
            self.say(problem, failed=True)
        else:
            self._begin_if_sure(form.plan())

    def _begin_if_sure(self, plan: ExportPlan) -> None:
        if plan.push is None or plan.private:
            self._begin(plan)
            return
        question = Confirm(
            t("export.public.title", repo=plan.push),
            [plain(t("export.public.text"), "dim")],
            t("export.public.yes"),
            t("export.public.no"),
            danger=True,
        )
        self.dpo.push_screen(question, lambda sure: self._begin(plan) if sure else None)

    def _begin(self, plan: ExportPlan) -> None:
        self._start(partial(exporting.start_export, self.run_dir, plan))

    def _start(self, begin: Callable[[], bool]) -> None:
        """In the background of the app: what is started is there even if this screen is left meanwhile."""

        def work() -> None:
            try:
                problem = "" if begin() else t("export.busy")
            except EngineError as error:
                problem = error_text(error)
            except (
                Exception
            ) as error:  # of a disk, of a machine that starts no process: words, not a traceback
                problem = f"{t('app.failed')}: {error}"
            self.post_message(self.Started(problem))

        if not self._starting:
            self._starting = True
            self.app.run_worker(work, thread=True, exit_on_error=False, group="exports")

    @on(Started)
    def _started(self, event: Started) -> None:
        self._starting = False
        self.say(event.problem, failed=True)
        if event.problem:
            self.look()
        else:
            self.follow_anew()

    def action_push(self) -> None:
        """Upload what is there."""
        self.dpo.push_screen(PushForm(self.run_dir.name), self._push)
        self._ask_login()

    def _push(self, wanted: tuple[str, bool] | None) -> None:
        result, facts = self.result, self.facts
        if wanted is None or result is None or facts is None:
            return
        plan = ExportPlan(
            step=result.step if result.step is not None else facts.step or 0,
            adapter=result.adapter,
            dtype=result.dtype or facts.dtype,
            to=result.path,
        )
        self._begin_if_sure(replace(plan, push=wanted[0], private=wanted[1]))

    @on(HubRows.Wanted)
    def _ask_login(self) -> None:
        if self._login is not None and self._login.standing == "ok":
            self.post_message(self.LoggedIn(self._login))
        else:
            self._read_login()

    @work(thread=True, exclusive=True, group="login", exit_on_error=False)
    def _read_login(self) -> None:
        self.post_message(self.LoggedIn(login()))

    @on(LoggedIn)
    def _logged_in(self, event: LoggedIn) -> None:
        self._login = event.login
        for rows in self.query(HubRows):
            rows.hear(event.login)
        if isinstance(self.app.screen, PushForm):
            self.app.screen.hear(event.login)

    def action_ask(self) -> None:
        """Ask the base and the exported model the same questions."""
        if self.result:
            self._start(partial(exporting.start_answers, self.run_dir, self.result.path))

    def action_copy(self) -> None:
        """The snippet, into the clipboard of the terminal."""
        self.app.copy_to_clipboard(self.query_one(ExportView).snippet())
        self.say(t("export.copied"))

    def action_turn(self, by: int) -> None:
        """The next answer."""
        self.query_one(Answers).turn(by)

    def action_cancel_export(self) -> None:
        """Ask the export to end."""
        exporting.cancel(self.run_dir)
        self.say(t("export.cancelling"))
