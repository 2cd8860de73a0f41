"""From a checkpoint to a Hugging Face model: what to export, how it goes, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.message import Message
from textual.widgets import Footer, Input, Static

from dpo_tui import exporting
from dpo_tui.export_facts import ExportFacts, read_facts
from dpo_tui.export_story import Result, StoryFollower
from dpo_tui.exporting import ExportPlan
from dpo_tui.hub.login import Login, login
from dpo_tui.keys import key
from dpo_tui.screens.base import DpoScreen, TitleBar
from dpo_tui.text import t
from dpo_tui.text.explain import error_text
from dpo_tui.widgets.answers import Answers
from dpo_tui.widgets.choice import Choice
from dpo_tui.widgets.confirm import Confirm
from dpo_tui.widgets.export_form import ExportForm, HubRows
from dpo_tui.widgets.export_view import Body, ExportView
from dpo_tui.widgets.plain import plain, plain_line
from dpo_tui.widgets.push_form import PushForm
from engine.exits import EngineError
from engine.rundir.paths import RunDir

POLL_SECONDS = 0.25


class ExportScreen(DpoScreen):
    """One run's exports. What runs goes on when the screen is left, and is found again when it is opened."""

    CSS_PATH = "export.tcss"
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
    class Looked(Message):
        """What there is to export, and what was exported."""

        facts: ExportFacts | None
        problem: str
        result: Result | None
        plan: ExportPlan | None
        running: bool

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
        self._run = RunDir(root)
        self._follower = StoryFollower(self._run.export_events)
        self._facts: ExportFacts | None = None
        self._result: Result | None = None
        self._plan: ExportPlan | None = None
        self._exporting = False
        self._chosen_anew = False
        self._login: Login | None = None

    def compose(self) -> ComposeResult:
        yield TitleBar(plain_line(t("export.title", name=self._run.name)))
        with Body():
            yield Static(plain(t("export.loading")), id="wait")
            yield Container(id="form")
            yield ExportView(self._run)
        yield Static(id="said")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Look at the run, and follow what runs."""
        self._mode("wait")
        self._look()
        self.set_interval(POLL_SECONDS, self._follow)

    def help_text(self) -> str:
        """What an export is."""
        return t("export.help")

    @work(thread=True, exclusive=True, group="look", exit_on_error=False)
    def _look(self) -> None:
        facts, problem = None, ""
        try:
            facts = read_facts(self._run)
        except EngineError as error:
            problem = error_text(error)
        except OSError as error:
            problem = f"{t('app.failed')}: {error.strerror}"
        result = exporting.exported_before(self._run)
        plan, running = exporting.plan_of(self._run), exporting.is_busy(self._run)
        self.post_message(self.Looked(facts, problem, result, plan, running))

    @on(Looked)
    async def _looked(self, event: Looked) -> None:
        while self._follower.poll():
            pass
        self._facts, self._result, self._plan = event.facts, event.result, event.plan
        self._exporting = event.running and self._follower.story.end is None
        if event.facts is not None:
            about = t("export.checkpoints", count=len(event.facts.checkpoints))
            self.query_one(TitleBar).tell(about=plain_line(about))
            if event.facts.checkpoints and not self.query(ExportForm):
                await self.query_one("#form").mount(ExportForm(event.facts, self._run.name))
        self._show(event.problem)

    def _show(self, problem: str = "") -> None:
        """The story of an export where there is one, else the choices, else why there are none."""
        story = self._follower.story
        failed = story.end.exit_code != 0 if story.end else bool(story.stages)
        if (self._exporting or self._result is not None or failed) and not self._chosen_anew:
            self._mode("story")
            self._draw()
            self.query_one(Body).focus()
        elif self.query(ExportForm):
            self._mode("form")
            self.query(Choice).first().focus()
        else:
            self.query_one("#wait", Static).update(plain(problem or t("export.no_checkpoint")))
            self._mode("wait")

    def _mode(self, mode: str) -> None:
        for other in ("wait", "form", "story"):
            self.set_class(other == mode, f"-{other}")
        self.refresh_bindings()

    def _follow(self) -> None:
        """See how far the export is; look closer once it has ended."""
        if not self._exporting:
            return
        self._follower.poll()
        self._draw()
        if self._follower.story.end is not None or not exporting.is_running(self._run):
            self._exporting = False
            self._look()

    def _draw(self) -> None:
        view = self.query_one(ExportView)
        view.show(self._follower.story, plan=self._plan, result=self._result, running=self._exporting)
        self.refresh_bindings()

    def _say(self, text: str, *, failed: bool = False) -> None:
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
                return exported and not form and not self._follower.story.answers
            case "again":
                return self.has_class("-story") and not self._exporting and bool(self.query(ExportForm))
            case "cancel_export":
                return self._exporting and exporting.may_cancel(self._run)
            case "turn":
                return not form and not typing
            case _:
                return super().check_action(action, parameters)

    @on(Input.Submitted)
    def action_start(self) -> None:
        """Export what was chosen; what everybody shall see is asked for once more."""
        form = self.query_one(ExportForm)
        if problem := form.problem():
            self._say(problem, failed=True)
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
        self._start(partial(exporting.start_export, self._run, plan))

    def _start(self, begin: Callable[[], None]) -> None:
        """In the background of the app: what is started is there even if this screen is left meanwhile."""

        def work() -> None:
            try:
                if exporting.is_busy(self._run):
                    self.post_message(self.Started(t("export.busy")))
                    return
                begin()
            except EngineError as error:
                self.post_message(self.Started(error_text(error)))
            except OSError as error:
                self.post_message(self.Started(f"{t('app.failed')}: {error.strerror}"))
            else:
                self.post_message(self.Started())

        self.app.run_worker(work, thread=True, exit_on_error=False, group="exports")

    @on(Started)
    def _started(self, event: Started) -> None:
        self._say(event.problem, failed=True)
        if event.problem:
            self._look()
            return
        self._follower = StoryFollower(self._run.export_events)
        self._exporting, self._chosen_anew = True, False
        self._plan = exporting.plan_of(self._run)
        self._show()

    def action_again(self) -> None:
        """Choose anew."""
        self._chosen_anew = True
        self._say("")
        self._show()

    def action_push(self) -> None:
        """Upload what is there."""
        self.dpo.push_screen(PushForm(self._run.name), self._push)
        self._ask_login()

    def _push(self, wanted: tuple[str, bool] | None) -> None:
        result, facts = self._result, self._facts
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
        if self._result:
            self._start(partial(exporting.start_answers, self._run, self._result.path))

    def action_copy(self) -> None:
        """The snippet, into the clipboard of the terminal."""
        self.app.copy_to_clipboard(self.query_one(ExportView).snippet())
        self._say(t("export.copied"))

    def action_turn(self, by: int) -> None:
        """The next answer."""
        self.query_one(Answers).turn(by)

    def action_cancel_export(self) -> None:
        """Ask the export to end."""
        exporting.cancel(self._run)
        self._say(t("export.cancelling"))
