"""What is done with the run that a monitor shows: a checkpoint, a stop, a resume, each only when it can be."""

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.message import Message

from dpo_tui.follow import Follower
from dpo_tui.keys import key
from dpo_tui.resuming import has_checkpoint, needs_confirmation, resumable, resume
from dpo_tui.run_story import RunStory
from dpo_tui.screens.base import DpoScreen
from dpo_tui.screens.config import ConfigScreen
from dpo_tui.stopping import ask_to_stop
from dpo_tui.text import t
from dpo_tui.text.explain import error_text
from dpo_tui.widgets.chart_grid import CHART_KEYS, ChartGrid
from dpo_tui.widgets.confirm import Confirm, ask_if_gone
from dpo_tui.widgets.log_view import LogView
from dpo_tui.widgets.notices import Notice, NoticesScreen
from dpo_tui.widgets.plain import plain
from engine.exits import EngineError
from engine.rundir.control import Control
from engine.rundir.paths import RunDir
from engine.sanitize import visible


class MonitorActions(DpoScreen):
    """A screen about the run in `root`. It asks the run, and never owns it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("monitor.checkpoint", "p", "checkpoint", show=True),
        key("monitor.stop", "s", "stop", show=True),
        key("monitor.resume", "r", "resume", show=True),
        key("monitor.no_resume", "r", "no_resume"),
        key("monitor.export", "e", "export", show=True),
        key("monitor.open", "o", "open_config", show=True),
        key("monitor.why", "w", "why", show=True),
        key("monitor.log", "l", "log", show=True),
        key("monitor.large_log", "L", "large_log"),
        key("monitor.find", "slash", "find"),
        key("monitor.config", "c", "config"),
        key("monitor.detach", "d", "detach"),
        key("monitor.back", "q,escape", "back", show=True),
        *CHART_KEYS,
    ]

    class Started(Message):
        """The run goes on."""

    class Refused(Message):
        """Something asked for was not done; `text` says why."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.run_dir = RunDir(root)
        self.story = RunStory(self.run_dir)
        self.follower = Follower(self.run_dir, self.story)
        self.notices: list[Notice] = []
        self.saves_when_asked: int | None = None
        """Checkpoints there were when one was asked for that is not there yet; else None."""
        self._resuming = False

    @property
    def live(self) -> bool:
        """Whether the run has not ended, as far as anybody knows."""
        return not self.follower.status.final

    @property
    def unfinished(self) -> bool:
        """Whether going on could change how it ended."""
        return resumable(self.follower.status)

    @property
    def resumable(self) -> bool:
        """Whether it can go on: there is a checkpoint as well."""
        return self.unfinished and has_checkpoint(self.run_dir)

    @property
    def exportable(self) -> bool:
        """Whether it has a checkpoint."""
        return bool(self.follower.history.saves)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 # textual's
        """Only what can be done now is offered."""
        match action:
            case "checkpoint":
                return self.live
            case "stop":
                return self.live and self.follower.status.state != "stopping"
            case "resume":
                return self.resumable
            case "no_resume":
                return self.unfinished and not self.resumable
            case "open_config":
                return self.unfinished
            case "export":
                return self.exportable
            case "why":
                return bool(self.notices)
            case _:
                return True

    def draw(self) -> None:
        """Bring everything on the screen up to date."""
        raise NotImplementedError

    def action_checkpoint(self) -> None:
        """Ask for a checkpoint after the step that is being trained."""
        self.saves_when_asked = len(self.follower.history.saves)
        try:
            Control(self.run_dir.control_dir).request_checkpoint()
        except EngineError as error:
            self.saves_when_asked = None
            self._refuse(error_text(error))
        else:
            self.notify(self._when_saved(), markup=False)
        self.draw()

    def _when_saved(self) -> str:
        """After which step the checkpoint comes; no number where not every step is told."""
        history = self.follower.history
        steps, _ = history.series("loss")
        if len(steps) > 1 and steps[-1] - steps[-2] > 1:
            return t("monitor.checkpoint.soon")
        return t("monitor.checkpoint.will", step=max(history.step, self.follower.status.step) + 1)

    def action_stop(self) -> None:
        """Ask for a checkpoint and the end, once it is confirmed."""
        lines = [plain(t("monitor.stop.about"), "dim")]
        question = Confirm(t("monitor.stop.title"), lines, t("monitor.stop.yes"), t("monitor.stop.no"))
        self.app.push_screen(question, self._stop)

    def _stop(self, confirmed: bool | None) -> None:
        if not confirmed:
            return
        try:
            ask_to_stop(self.run_dir)
        except EngineError as error:
            self._refuse(error_text(error))

    def action_resume(self) -> None:
        """Go on from the newest checkpoint; where another machine may still train, only when that is confirmed."""
        if needs_confirmation(self.follower.status):
            self.app.push_screen(ask_if_gone(), self._resume)
        else:
            self._resume(True)

    def action_no_resume(self) -> None:
        """Say why it cannot go on, and what can be done instead."""
        self.notify(t("monitor.resume.none", key=self.dpo.keys_of("monitor.open")), markup=False)

    def _resume(self, confirmed: bool | None) -> None:
        if confirmed and not self._resuming:
            self._resuming = True
            self.app.run_worker(self._start, thread=True, exit_on_error=False, group="resume")

    def _start(self) -> None:
        """Start the run again, in the background; it belongs to nobody, so it goes on when this app is left."""
        try:
            resumed = resume(self.root, self.dpo.supervisor)
        except EngineError as error:
            self.post_message(self.Refused(error_text(error)))
        except Exception as error:  # whatever it is, it is said, and the app goes on
            self.post_message(self.Refused(f"{type(error).__name__}: {error}"))
        else:
            self.post_message(self.Started() if resumed else self.Refused(t("monitor.resume.done")))

    @on(Started)
    def _started(self) -> None:
        self._resuming = False
        self.dpo.run_started(self.root)

    @on(Refused)
    def _refused(self, event: Refused) -> None:
        self._resuming = False
        self._refuse(event.text)

    def _refuse(self, text: str) -> None:
        self.notify(visible(text), title=t("app.failed"), severity="error", markup=False)

    def action_export(self) -> None:
        """A model out of one of its checkpoints."""
        self.dpo.open_export(self.root)

    def action_open_config(self) -> None:
        """Change the config, for a new run like this one."""
        self.dpo.open_wizard(self.run_dir.config)

    def action_why(self) -> None:
        """Every warning with what it means and what to do."""
        self.app.push_screen(NoticesScreen(self.notices))

    def action_config(self) -> None:
        """The config of the run."""
        self.app.push_screen(ConfigScreen(self.run_dir.config))

    def action_show_chart(self, digit: int) -> None:
        """Show a chart and go to it."""
        self.query_one(ChartGrid).action_show_chart(digit)

    def action_maximize_chart(self) -> None:
        """All room for one chart, or again for as many as fit."""
        self.query_one(ChartGrid).action_maximize_chart()

    def action_log(self) -> None:
        """Hide the log, or show it."""
        self.toggle_class("-log-hidden")
        self.remove_class("-log-large")

    def action_large_log(self) -> None:
        """Give the log most of the screen, or take it back."""
        self.toggle_class("-log-large")
        self.remove_class("-log-hidden")
        self.query_one(LogView).lines.focus()

    def action_find(self) -> None:
        """Find a word in the log."""
        self.remove_class("-log-hidden")
        self.query_one(LogView).action_find()

    def action_detach(self) -> None:
        """Leave the app; the run goes on."""
        self.dpo.detach()
