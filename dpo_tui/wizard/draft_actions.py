"""What becomes of the draft that the wizard shows: it is saved, left, or started."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from textual import on, work
from textual.message import Message
from textual.worker import get_current_worker

from dpo_tui.screens.base import DpoScreen
from dpo_tui.text import t
from dpo_tui.text.explain import error_text
from dpo_tui.wizard.asking import LeaveScreen, Leaving, SaveScreen
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.naming import config_path
from dpo_tui.wizard.review import ReviewStep
from dpo_tui.wizard.start import Started, save, start
from engine.exits import EngineError
from engine.launch.local import SupervisorCommand
from engine.sanitize import one_line, visible


class DraftActions(DpoScreen):
    """A screen over one draft, which it loses to nobody."""

    draft: Draft

    class StartFailed(Message):
        """The run did not start; `why` says it in words."""

        def __init__(self, why: str) -> None:
            super().__init__()
            self.why = why

    class StartDone(Message):
        """The run trains."""

        def __init__(self, started: Started) -> None:
            super().__init__()
            self.started = started

    @property
    def unsaved(self) -> bool:
        """Whether leaving would lose something."""
        return self.draft.changed

    def action_save(self) -> None:
        """Save: to the draft's own file at once, a new one where the person says."""
        if self.draft.path is None:
            self.app.push_screen(SaveScreen(self.draft), self._saved)
            return
        try:
            self.draft.save(self.draft.path)
        except EngineError as error:
            self.app.push_screen(SaveScreen(self.draft), self._saved)
            self.notify(visible(error_text(error)), severity="warning", markup=False)
        else:
            self._saved(self.draft.path)

    def action_back(self) -> None:
        """Leave; what is not saved is asked about."""
        if self.unsaved:
            self.ask_to_leave(self.dismiss)
        else:
            self.dismiss()

    def ask_to_leave(self, then: Callable[[], object]) -> None:
        """Ask what becomes of the draft; `then` goes, unless somebody wants to stay."""
        self.app.push_screen(LeaveScreen(config_path(self.draft)), partial(self._leave, then))

    def show_draft(self) -> None:
        """Show what the draft says now: another hand was at it."""
        raise NotImplementedError

    def _saved(self, path: Path | None) -> None:
        if path is not None:
            self._remember(path)
            self._tell_saved(path)
            self.show_draft()

    def _tell_saved(self, path: Path) -> None:
        """A config with faults is saved as well, and is no use yet."""
        faults, where = len(self.draft.faults()), one_line(str(path))
        text = t("wizard.saved_faulty", path=where, count=faults) if faults else t("wizard.saved", path=where)
        self.app.notify(text, severity="warning" if faults else "information", markup=False)

    def _leave(self, then: Callable[[], object], how: Leaving | None) -> None:
        if how == "save":
            try:
                path = save(self.draft)
            except EngineError as error:
                self.notify(visible(error_text(error)), severity="error", markup=False)
                return
            self._remember(path)
            self._tell_saved(path)
        if how in ("save", "discard"):
            then()

    def _remember(self, path: Path) -> None:
        self.dpo.recents.remember("config", str(path.absolute()))

    @on(ReviewStep.Start)
    def _start(self) -> None:
        self._launch(self.dpo.supervisor)

    @work(thread=True, exit_on_error=False, group="start")
    def _launch(self, command: SupervisorCommand) -> None:
        worker = get_current_worker()
        try:
            self.post_message(self.StartDone(start(self.draft, command, lambda: not worker.is_cancelled)))
        except EngineError as error:
            self.post_message(self.StartFailed(error_text(error)))
        except Exception as error:  # whatever it is, it is said, and Start may be tried again
            self.post_message(self.StartFailed(f"{t('app.failed')}: {error or type(error).__name__}"))

    @on(StartDone)
    def _started(self, event: StartDone) -> None:
        self._remember(event.started.config)
        self.app.notify(t("wizard.started", path=one_line(str(event.started.config))), markup=False)
        self.dpo.run_started(event.started.root)

    @on(StartFailed)
    def _start_failed(self, event: StartFailed) -> None:
        self.show_draft()
        self.query_one(ReviewStep).failed(event.why)
