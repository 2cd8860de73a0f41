"""The wizard: five steps over one draft, and the config as it will be saved beside them."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.css.query import NoMatches
from textual.widgets import ContentSwitcher, Footer, Static

from dpo_tui.keys import key
from dpo_tui.preview import PreviewClient
from dpo_tui.screens.base import TitleBar
from dpo_tui.text import t
from dpo_tui.widgets.toml_view import TomlView
from dpo_tui.wizard.broken import BrokenFile
from dpo_tui.wizard.data import DataStep
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.draft_actions import DraftActions
from dpo_tui.wizard.kinds import path_of
from dpo_tui.wizard.launcher import LauncherStep
from dpo_tui.wizard.model import ModelStep
from dpo_tui.wizard.naming import in_directory
from dpo_tui.wizard.rail import Rail, folded
from dpo_tui.wizard.review import ReviewStep
from dpo_tui.wizard.step import Step
from dpo_tui.wizard.template import FIRST, TemplateStep
from dpo_tui.wizard.verdicts import Verdicts
from engine.config.explain import field_at
from engine.config.problems import ConfigError
from engine.sanitize import one_line

WARM_AFTER = 2.0
"""Seconds until the process of the preview is started before it is asked anything: its imports take some more."""

STEPS: tuple[Callable[[Draft], Step], ...] = (TemplateStep, ModelStep, DataStep, LauncherStep, ReviewStep)


class WizardScreen(DraftActions):
    """Steps are free to visit. All of them write into the draft; this screen draws what follows from it."""

    CSS_PATH = "wizard.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-slim"), (120, "-medium"), (160, "-wide")]
    BINDINGS: ClassVar[list[BindingType]] = [
        key("review.fix", "f", "fix", show=True),
        key("review.copy", "y", "copy", show=True),
        key("wizard.next", "ctrl+n", "step(1)", show=True, priority=True),
        key("wizard.previous", "ctrl+p", "step(-1)", show=True, priority=True),
        key("wizard.save", "ctrl+s", "save", show=True),
        key("wizard.toml", "f4", "toml", show=True),
        key("wizard.all", "f5", "all_settings", show=True),
        key("wizard.reload", "f6", "reload", show=True),
        key("app.back", "escape", "back"),
    ]

    def __init__(
        self,
        runs_dir: Path,
        config: Path | None = None,
        preview: PreviewClient | None = None,
        *,
        runs_given: bool = False,
    ) -> None:
        """`runs_given`: the run goes into `runs_dir` whatever the config says."""
        super().__init__()
        self.preview = preview or PreviewClient()
        """Reads models and data for the steps, in a process of its own."""
        self._runs_dir = runs_dir
        self._runs_given = runs_given
        self._file = config
        self._at = 0
        self._seen: set[int] = {0}
        self._error: ConfigError | None = None
        self._open()

    def _open(self) -> None:
        """Read the config, or begin one. A file that cannot be read is shown as it is."""
        preset = in_directory(self._runs_dir)
        given = self._runs_dir if self._runs_given else None
        self._error = None
        self.draft = Draft.from_template(FIRST, preset)
        if self._file is not None:
            try:
                self.draft = Draft.from_file(self._file, preset, runs_dir=given)
            except ConfigError as error:
                self._error = error
        self.steps = [make(self.draft) for make in STEPS]

    def compose(self) -> ComposeResult:
        yield TitleBar(Content(self._title))
        if self._error is not None and self._file is not None:
            yield BrokenFile(self._file, self._error)
        else:
            with Horizontal(id="body"):
                yield Rail(self.steps)
                with Vertical(id="main"):
                    yield Static(id="folded", markup=False)
                    with ContentSwitcher(initial=self.steps[0].id, id="steps"):
                        yield self.steps[0]
                yield TomlView()
        yield Footer(compact=True, show_command_palette=False)

    async def on_mount(self) -> None:
        """Begin at the first step. The process of the preview gets ready while somebody looks at it."""
        if not self.app.is_headless:
            self.set_timer(WARM_AFTER, self._prepare_preview)
        if self._error is None:
            await self._enter(0)

    async def on_unmount(self) -> None:
        """The preview ends with the wizard."""
        await self.preview.close()

    @work(exit_on_error=False)
    async def _prepare_preview(self) -> None:
        await self.preview.start()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No step before the first and behind the last; a broken file can only be read again."""
        if action == "reload":
            return self._error is not None
        if self._error is not None:
            return action not in ("step", "save", "toml", "all_settings", "fix", "copy")
        if action in ("fix", "copy"):
            at_review = self.steps[self._at] is self._review
            return at_review and (action == "copy" or self._review.fix is not None)
        if action == "step" and parameters:
            return True if 0 <= self._at + int(str(parameters[0])) < len(self.steps) else None
        return True

    async def action_step(self, by: int) -> None:
        """Go to the next step, or to the one before."""
        await self._enter(self._at + by)

    def action_toml(self) -> None:
        """Show the config, or give its place to the step."""
        self.query_one("#body").toggle_class("-toml")

    def action_fix(self) -> None:
        """Apply the first fix that the checks propose."""
        self._review.apply_fix()

    def action_copy(self) -> None:
        """Copy the command that starts this run without the app."""
        self._review.copy_command()

    def action_all_settings(self) -> None:
        """Every key there is."""
        self._all_settings()

    def _all_settings(self, at: str = "") -> None:
        from dpo_tui.wizard.all_settings import AllSettings

        self.app.push_screen(AllSettings(self.draft, at), lambda _: self.show_draft())

    async def action_reload(self) -> None:
        """Read the broken file again."""
        self._open()
        await self.recompose()
        if self._error is None:
            await self._enter(0)

    @property
    def unsaved(self) -> bool:
        """Whether leaving would lose something."""
        return self._error is None and super().unsaved

    def help_text(self) -> str:
        """About the step one is at."""
        return "" if self._error else t(f"wizard.help.{self.steps[self._at].step_id}")

    @on(Step.Changed)
    def _changed(self, event: Step.Changed) -> None:
        for step in self.steps:
            if step is not event.step and step is self.steps[self._at]:
                step.refresh_from_draft()
        self._draw()

    @on(Step.Told)
    def _told(self) -> None:
        self._hear_of_model()
        self._draw()

    @on(Step.Done)
    async def _done(self) -> None:
        if self._at + 1 < len(self.steps):
            await self._enter(self._at + 1)

    @on(TemplateStep.Chosen)
    def _template(self, event: TemplateStep.Chosen) -> None:
        self.draft.switch_template(event.name)
        self.show_draft()

    @on(Rail.Wanted)
    async def _wanted(self, event: Rail.Wanted) -> None:
        await self._enter(event.index)

    @on(Verdicts.Wanted)
    async def _to_field(self, event: Verdicts.Wanted) -> None:
        """Be at a key's field: in its step, else among all settings; an unknown key is in the file alone."""
        index = next((at for at, step in enumerate(self.steps) if step.fills(event.key)), 0)
        await self._enter(index)
        if self.steps[index].focus_key(event.key):
            return
        if field_at(path_of(event.key)) is None:
            self.notify(t("wizard.no_field", key=one_line(event.key)), severity="warning", markup=False)
        else:
            self._all_settings(event.key)

    @on(LauncherStep.Seen)
    def _machine(self, event: LauncherStep.Seen) -> None:
        self._review.machine = event.machine

    @property
    def _title(self) -> str:
        new = self.draft.path is None and self._error is None
        return t("wizard.title" if new else "wizard.title_of_file")

    @property
    def _review(self) -> ReviewStep:
        return next(step for step in self.steps if isinstance(step, ReviewStep))

    async def _enter(self, index: int) -> None:
        """Be at another step. Steps are made when they are first entered: the first one is there at once."""
        step = self.steps[index]
        switcher = self.query_one("#steps", ContentSwitcher)
        if not step.is_attached:
            await switcher.mount(step)
        self._at = index
        self._seen.add(index)
        self._hear_of_model()
        switcher.current = step.id
        step.refresh_from_draft()
        step.shown()
        step.focus_entry()
        self._draw()

    def _hear_of_model(self) -> None:
        model = next(step for step in self.steps if isinstance(step, ModelStep))
        known = (model.parameters, model.shape) if model.up_to_date else (None, None)
        self._review.hear_of_model(*known)

    def show_draft(self) -> None:
        """Another hand was at the draft: the step one is at shows it too."""
        self._hear_of_model()
        self.steps[self._at].refresh_from_draft()
        self._draw()

    def _draw(self) -> None:
        """All that follows from the draft: the rail, the title, the config."""
        try:
            self.query_one(Rail).show(self._at, self._seen)
        except NoMatches:  # a broken file, or the screen is going
            return
        self.query_one("#folded", Static).update(folded(self.steps, self._at))
        self.query_one(TomlView).show(self.draft.shown_text, self.draft.changed_lines())
        file = one_line(str(self.draft.path or f"{self.draft.name}.toml"))
        mark = " •" if self.draft.changed else ""
        about = t("wizard.step_of", number=self._at + 1, count=len(self.steps))
        title = Content.assemble(self._title, (f"  {file}{mark}", "dim"))
        self.query_one(TitleBar).tell(title, Content(about))
        self.refresh_bindings()
