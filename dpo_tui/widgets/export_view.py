"""One export from its start to its end, and the folder it left."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from dpo_tui.export_story import Result, Story
from dpo_tui.exporting import ExportPlan, export_log
from dpo_tui.keys import key
from dpo_tui.text import t
from dpo_tui.widgets import export_story
from dpo_tui.widgets.answers import Answers
from dpo_tui.widgets.plain import plain
from dpo_tui.widgets.run_detail import short_path
from engine.launch.verdict import log_end
from engine.rundir.paths import RunDir
from engine.snippet import loading_snippet


class Body(VerticalScroll, inherit_bindings=False):
    """What scrolls; left and right are the screen's."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("export.up", "up,k", "scroll_up"),
        key("export.down", "down,j", "scroll_down"),
        key("export.page_up", "pageup", "page_up"),
        key("export.page_down", "pagedown,space", "page_down"),
    ]


class Stages(Widget):
    """The parts of an export in as many lines as they take."""

    DEFAULT_CSS = "Stages { height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self._story = Story()
        self._exporting = False

    def show(self, story: Story, *, running: bool) -> None:
        """Show how far it is."""
        self._story, self._exporting = story, running
        self.refresh(layout=True)

    def render(self) -> Content:
        """All parts at this width."""
        return export_story.stages(self._story, self._exporting, self.content_size.width)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:  # noqa: ARG002
        """As many lines as the parts take."""
        return len(export_story.stages(self._story, self._exporting, width).plain.splitlines())


class ExportView(Vertical):
    """What is exported, how far it is, what came of it, the answers, and how it is loaded."""

    DEFAULT_CSS = """
    ExportView { height: auto; padding: 1 2 0 2; }
    ExportView > Static { height: auto; }
    ExportView #chosen { color: $text-muted; margin-bottom: 1; }
    ExportView #outcome { margin-top: 1; }
    ExportView #snippet-title { color: $text-muted; margin-top: 1; }
    ExportView #snippet { margin-top: 1; padding: 0 2; background: $panel; }
    ExportView #outcome, ExportView #snippet-title, ExportView #snippet { display: none; }
    ExportView.-outcome #outcome { display: block; }
    ExportView.-exported #snippet-title, ExportView.-exported #snippet { display: block; }
    """

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        self._run = run
        self._story = Story()
        self._result: Result | None = None
        self._exporting = False

    def compose(self) -> ComposeResult:
        yield Static(id="chosen")
        yield Stages()
        yield Static(id="outcome")
        yield Answers()
        yield Static(plain(t("export.snippet")), id="snippet-title")
        yield Static(id="snippet")

    @property
    def exported(self) -> bool:
        """Whether a folder is there that nothing is being done to."""
        end = self._story.end
        good = end is None or end.exit_code == 0 or self._story.asked
        return self._result is not None and not self._exporting and good

    def show(self, story: Story, *, plan: ExportPlan | None, result: Result | None, running: bool) -> None:
        """Show how it stands. `plan` is what was asked for, where that is known."""
        self._story, self._result, self._exporting = story, result, running
        self.query_one("#chosen", Static).update(export_story.chosen(plan, result))
        self.query_one(Stages).show(story, running=running)
        outcome = self._outcome()
        self.query_one("#outcome", Static).update(outcome)
        self.set_class(bool(outcome.plain), "-outcome")
        self.query_one(Answers).show(story.answers)
        self.set_class(self.exported, "-exported")
        if self.exported:
            self.query_one("#snippet", Static).update(plain(self.snippet()))

    def snippet(self) -> str:
        """The code that loads the folder, or the repo where it was uploaded."""
        assert self._result is not None, "nothing is exported"
        place = self._story.push or str(self._result.path)
        found = self._result
        return loading_snippet(
            place,
            adapter=found.adapter,
            chat=found.chat,
            own_code=found.own_code,
            code_revision=found.code_revision,
            family=found.family,
            four_bits=found.four_bits,
        )

    def _outcome(self) -> Content:
        story, end = self._story, self._story.end
        if story.asked and self._result is not None:
            return export_story.outcome(self._result, story, running=self._exporting)
        if self._exporting:
            return Content("" if story.stages else t("export.starting"))
        log = export_log(self._run)
        if end is not None and end.exit_code:
            return export_story.failure(end, log_end(log, 0), short_path(log))
        if story.stages and end is None:
            return export_story.lost(log_end(log, 0), short_path(log))
        return export_story.outcome(self._result, story) if self._result is not None else Content("")
