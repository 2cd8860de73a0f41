"""The wizard: five steps over one draft, and the config as it will be saved beside them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.css.query import NoMatches
from textual.message import Message
from textual.widgets import ContentSwitcher, Footer, Static

from dpo_tui.keys import key
from dpo_tui.preview import PreviewClient
from dpo_tui.screens.base import DpoScreen, TitleBar
from dpo_tui.text import t
from dpo_tui.text.explain import error_text
from dpo_tui.widgets.toml_view import TomlView
from dpo_tui.wizard.asking import LeaveScreen, Leaving, SaveScreen
from dpo_tui.wizard.broken import BrokenFile
from dpo_tui.wizard.data import DataStep
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.launcher import LauncherStep
from dpo_tui.wizard.model import ModelStep
from dpo_tui.wizard.naming import config_path, in_directory
from dpo_tui.wizard.rail import Rail, folded
from dpo_tui.wizard.review import ReviewStep
from dpo_tui.wizard.start import Started, save, start
from dpo_tui.wizard.step import Step
from dpo_tui.wizard.template import FIRST, TemplateStep
from engine.config.problems import ConfigError
from engine.exits import EngineError
from engine.sanitize import one_line

STEPS: tuple[Callable[[Draft], Step], ...] = (TemplateStep, ModelStep, DataStep, LauncherStep, ReviewStep)


class WizardScreen(DpoScreen):
    """Steps are free to visit. All of them write into the draft; this screen draws what follows from it."""

    CSS_PATH = "wizard.tcss"
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

    class StartFailed(Message):
        """The run did not start."""

        def __init__(self, error: EngineError) -> None:
            super().__init__()
            self.error = error

    class StartDone(Message):
        """The run trains."""

        def __init__(self, started: Started) -> None:
            super().__init__()
            self.started = started

    def __init__(
        self, runs_dir: Path, config: Path | None = None, preview: PreviewClient | None = None
    ) -> None:
        super().__init__()
        self.preview = preview or PreviewClient()
        """Reads models and data for the steps, in a process of its own."""
        self._runs_dir = runs_dir
        self._file = config
        self._at = 0
        self._seen: set[int] = {0}
        self._error: ConfigError | None = None
        self._open()

    def _open(self) -> None:
        """Read the config, or begin one. A file that cannot be read is shown as it is."""
        preset = in_directory(self._runs_dir)
        self._error = None
        try:
            self.draft = (
                Draft.from_template(FIRST, preset)
                if self._file is None
                else Draft.from_file(self._file, preset)
            )
        except ConfigError as error:
            self._error = error
            self.draft = Draft.from_template(FIRST, preset)
        self.steps = [make(self.draft) for make in STEPS]

    def compose(self) -> ComposeResult:
        yield TitleBar(Content(t("wizard.title" if self._file is None else "wizard.title_of_file")))
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
        """Begin at the first step; the process of the preview gets ready meanwhile."""
        self._prepare_preview()
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
        from dpo_tui.wizard.all_settings import AllSettings

        self.app.push_screen(AllSettings(self.draft), lambda _: self._refresh())

    async def action_reload(self) -> None:
        """Read the broken file again."""
        self._open()
        await self.recompose()
        if self._error is None:
            await self._enter(0)

    def action_save(self) -> None:
        """Save: to the draft's own file at once, a new one where the person says."""
        if self.draft.path is None:
            self.app.push_screen(SaveScreen(self.draft), self._saved)
            return
        try:
            self.draft.save(self.draft.path)
        except EngineError as error:
            self.app.push_screen(SaveScreen(self.draft), self._saved)
            self.notify(error_text(error), severity="warning", markup=False)
        else:
            self._saved(self.draft.path)

    def action_back(self) -> None:
        """Leave; what is not saved is asked about."""
        if self.unsaved:
            self.ask_to_leave(self.dismiss)
        else:
            self.dismiss()

    @property
    def unsaved(self) -> bool:
        """Whether leaving would lose something."""
        return self._error is None and self.draft.changed

    def ask_to_leave(self, then: Callable[[], object]) -> None:
        """Ask what becomes of the draft; `then` goes, unless somebody wants to stay."""
        self.app.push_screen(LeaveScreen(config_path(self.draft)), partial(self._leave, then))

    def help_text(self) -> str:
        """About the step one is at."""
        return "" if self._error else t(f"wizard.help.{self.steps[self._at].step_id}")

    @on(Step.Changed)
    def _changed(self, event: Step.Changed) -> None:
        for step in self.steps:
            if step is not event.step and step is self.steps[self._at]:
                step.refresh_from_draft()
        self._draw()

    @on(Step.Done)
    async def _done(self) -> None:
        if self._at + 1 < len(self.steps):
            await self._enter(self._at + 1)

    @on(TemplateStep.Chosen)
    def _template(self, event: TemplateStep.Chosen) -> None:
        self.draft.switch_template(event.name)
        self._refresh()

    @on(Rail.Wanted)
    async def _wanted(self, event: Rail.Wanted) -> None:
        await self._enter(event.index)

    @on(LauncherStep.Seen)
    def _machine(self, event: LauncherStep.Seen) -> None:
        self._review.machine = event.machine

    @on(ReviewStep.Start)
    def _start(self) -> None:
        self._launch(self.dpo.supervisor)

    @work(thread=True, exit_on_error=False, group="start")
    def _launch(self, command: Any) -> None:
        try:
            self.post_message(self.StartDone(start(self.draft, command)))
        except EngineError as error:
            self.post_message(self.StartFailed(error))

    @on(StartDone)
    def _started(self, event: StartDone) -> None:
        self._remember(event.started.config)
        self.app.notify(t("wizard.started", path=one_line(str(event.started.config))), markup=False)
        self.dpo.run_started(event.started.root)

    @on(StartFailed)
    def _start_failed(self, event: StartFailed) -> None:
        self._review.failed(event.error)
        self._draw()

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
        self._review.parameters = getattr(self.steps[1], "parameters", None)
        switcher.current = step.id
        step.refresh_from_draft()
        step.shown()
        step.focus_entry()
        self._draw()

    def _refresh(self) -> None:
        """Another hand was at the draft."""
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
        title = t("wizard.title") if self.draft.path is None else t("wizard.title_of_file")
        self.query_one(TitleBar).tell(Content.assemble(title, (f"  {file}{mark}", "dim")), Content(about))
        self.refresh_bindings()

    def _saved(self, path: Path | None) -> None:
        if path is not None:
            self._remember(path)
            self.notify(t("wizard.saved", path=one_line(str(path))), markup=False)
            self._refresh()

    def _leave(self, then: Callable[[], object], how: Leaving | None) -> None:
        if how == "save":
            try:
                path = save(self.draft)
            except EngineError as error:
                self.notify(error_text(error), severity="error", markup=False)
                return
            self._remember(path)
            self.app.notify(t("wizard.saved", path=one_line(str(path))), markup=False)
        if how in ("save", "discard"):
            then()

    def _remember(self, path: Path) -> None:
        self.dpo.recents.remember("config", str(path.absolute()))
