"""From a checkpoint to a Hugging Face model: what to export, how it goes, and what came of it."""

from dataclasses import dataclass
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container
from textual.message import Message
from textual.widgets import Footer, Static

from dpo_tui import exporting
from dpo_tui.export_facts import ExportFacts, read_facts
from dpo_tui.export_story import Result, StoryFollower
from dpo_tui.exporting import ExportPlan
from dpo_tui.screens.base import TitleBar
from dpo_tui.screens.export_actions import ExportActions
from dpo_tui.text import t
from dpo_tui.text.explain import error_text
from dpo_tui.widgets.choice import Choice
from dpo_tui.widgets.export_form import ExportForm
from dpo_tui.widgets.export_view import Body, ExportView
from dpo_tui.widgets.plain import plain, plain_line
from engine.exits import EngineError

POLL_SECONDS = 0.25


class ExportScreen(ExportActions):
    """One run's exports. What runs goes on when the screen is left, and is found again when it is opened."""

    CSS_PATH = "export.tcss"

    @dataclass
    class Looked(Message):
        """What there is to export, and what was exported."""

        facts: ExportFacts | None
        problem: str
        result: Result | None
        plan: ExportPlan | None
        running: bool

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._plan: ExportPlan | None = None
        self._chosen_anew = False

    def compose(self) -> ComposeResult:
        yield TitleBar(plain_line(t("export.title", name=self.run_dir.name)))
        with Body():
            yield Static(plain(t("export.loading")), id="wait")
            yield Container(id="form")
            yield ExportView(self.run_dir)
        yield Static(id="said")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Look at the run, and follow what runs."""
        self._mode("wait")
        self.look()
        self.set_interval(POLL_SECONDS, self._follow)

    def help_text(self) -> str:
        """What an export is."""
        return t("export.help")

    def look(self) -> None:
        """See what there is to export, and what was exported."""
        self._look()

    @work(thread=True, exclusive=True, group="look", exit_on_error=False)
    def _look(self) -> None:
        facts, problem = None, ""
        try:
            facts = read_facts(self.run_dir)
        except EngineError as error:
            problem = error_text(error)
        except Exception as error:  # of a disk, of a damaged directory: words, not a traceback
            problem = f"{t('app.failed')}: {error}"
        result = exporting.exported_before(self.run_dir)
        plan, running = exporting.plan_of(self.run_dir), exporting.is_busy(self.run_dir)
        self.post_message(self.Looked(facts, problem, result, plan, running))

    @on(Looked)
    async def _looked(self, event: Looked) -> None:
        while self.follower.poll():
            pass
        self.facts, self.result, self._plan = event.facts, event.result, event.plan
        running = event.running or self.exporting  # one may have begun since it was looked
        self.exporting = running and self.follower.story.end is None
        if event.facts is not None:
            about = t("export.checkpoints", count=len(event.facts.checkpoints))
            self.query_one(TitleBar).tell(about=plain_line(about))
            if event.facts.checkpoints and not self.query(ExportForm):
                await self.query_one("#form").mount(ExportForm(event.facts, self.run_dir.name))
        self._show(event.problem)

    def _show(self, problem: str = "") -> None:
        """The story of an export where there is one, else the choices, else why there are none."""
        story = self.follower.story
        failed = story.end.exit_code != 0 if story.end else bool(story.stages)
        if (self.exporting or self.result is not None or failed) and not self._chosen_anew:
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
        if not self.exporting:
            return
        self.follower.poll()
        self._draw()
        if self.follower.story.end is not None or not exporting.is_running(self.run_dir):
            self.exporting = False
            self.look()

    def follow_anew(self) -> None:
        """An export has begun: its story from the start."""
        self.follower = StoryFollower(self.run_dir.export_events)
        self.exporting, self._chosen_anew = True, False
        self._plan = exporting.plan_of(self.run_dir)
        self._show()

    def _draw(self) -> None:
        view = self.query_one(ExportView)
        view.show(self.follower.story, plan=self._plan, result=self.result, running=self.exporting)
        self.refresh_bindings()

    def action_again(self) -> None:
        """Choose anew."""
        self._chosen_anew = True
        self.say("")
        self._show()
