"""One run: its curves, its devices, its log, and what can be done with it. It watches; it owns nothing."""

import tomllib
from pathlib import Path

from textual.app import ComposeResult
from textual.widgets import Footer

from dpo_tui.screens.monitor_actions import MonitorActions
from dpo_tui.text import t
from dpo_tui.widgets.chart_grid import ChartGrid
from dpo_tui.widgets.devices import Devices
from dpo_tui.widgets.log_view import LogView
from dpo_tui.widgets.notices import NoticeLine, notices_of
from dpo_tui.widgets.phase_bar import PhaseBar
from dpo_tui.widgets.run_end import RunEnd
from dpo_tui.widgets.run_header import RunHeader
from engine.rundir.paths import RunDir

TICK_SECONDS = 0.25
UNSEEN_TICKS = 4
"""Of so many ticks one is acted upon while the terminal has not the focus."""
BREATH_SECONDS = 0.002
"""Between two slices of a long history, so that keys are heard: a message posted to oneself would come before them."""
NOTICE_TICKS = 8
"""With each so manieth tick the curves are asked what they tell."""


class MonitorScreen(MonitorActions):
    """Follows the run in `root`, wherever it runs and however it was started."""

    CSS_PATH = "monitor.tcss"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._devices = devices_of(self.run_dir)
        self._drawn = self._noticed = -1
        self._ticks = 0
        self._was_live = self._catching_up = False
        self._offered: object = None

    def compose(self) -> ComposeResult:
        yield RunHeader(self._devices)
        yield PhaseBar()
        yield ChartGrid()
        yield Devices()
        yield RunEnd()
        yield NoticeLine()
        yield LogView(self.run_dir, self.story)
        yield Footer(compact=True, show_command_palette=False)

    def help_text(self) -> str:
        """What the screen shows."""
        return t("monitor.help")

    # Following

    def on_mount(self) -> None:
        """Read what there is, then look for more again and again."""
        self._read()
        self.draw()
        self.set_interval(TICK_SECONDS, self._tick)

    def on_screen_resume(self) -> None:
        """What happened while another screen was on."""
        self.follower.look_again()

    def _tick(self) -> None:
        self._ticks += 1
        if not self.is_active or (not self.app.app_focus and self._ticks % UNSEEN_TICKS):
            return
        if not self._catching_up:
            self._read()
        if self.follower.caught_up or self._ticks % UNSEEN_TICKS == 0:
            self.draw()

    def _read(self) -> None:
        """Take in what is new, and go on at once when there is more than a moment's work of it."""
        first = not self.follower.caught_up
        self._catching_up = self.follower.poll().behind
        if self._catching_up:
            self.set_timer(BREATH_SECONDS, self._read)
        elif first or self._drawn < 0:
            self.call_later(self.draw)

    def draw(self) -> None:
        """Bring everything on the screen up to date."""
        follower, history = self.follower, self.follower.history
        if history.version != self._drawn:
            self.query_one(ChartGrid).show(history)
            self._drawn = history.version if follower.caught_up else -1
        self._tell_notices()
        self._notice_save()
        self._notice_end()
        self.query_one(RunHeader).show(follower, self._devices)
        self.query_one(PhaseBar).show(follower, asked=self.saves_when_asked is not None)
        self.query_one(Devices).show(follower.record, live=self.live)
        self.query_one(RunEnd).show(follower, self._ways_on())
        self._refresh_keys()

    def _tell_notices(self) -> None:
        """Say what is new to know: not with every step, for the curves are long."""
        version = self.follower.history.version
        now = self._noticed < 0 or not self.live or self._ticks % NOTICE_TICKS == 0
        if version != self._noticed and now and self.follower.caught_up:
            self._noticed = version
            self.notices = notices_of(self.follower.history)
            self.query_one(NoticeLine).show(self.notices)

    def _notice_save(self) -> None:
        """A checkpoint that was asked for is there, or will not come any more."""
        saves = self.follower.history.saves
        if self.saves_when_asked is None:
            return
        if len(saves) > self.saves_when_asked:
            self.notify(t("monitor.checkpoint.saved", step=saves[-1].step), markup=False)
            self.saves_when_asked = None
        elif not self.live:
            self.saves_when_asked = None

    def _notice_end(self) -> None:
        """A run that ends while it is watched rings the bell."""
        if self._was_live and not self.live:
            self.app.bell()
        self._was_live = self.live

    def _refresh_keys(self) -> None:
        """Keys come and go with what can be done."""
        state = (
            self.follower.status.state,
            self.unfinished,
            self.resumable,
            self.exportable,
            bool(self.notices),
        )
        if state != self._offered:
            self._offered = state
            self.refresh_bindings()

    def _ways_on(self) -> dict[str, str]:
        """The keys that go on from an end, with what they do."""
        ways: dict[str, str] = {}
        if self.resumable:
            ways["r"] = t("monitor.way.resume")
        if self.unfinished:
            ways["o"] = t("monitor.way.open")
        if self.exportable:
            ways["e"] = t("monitor.way.export")
        return ways


def devices_of(run: RunDir) -> int:
    """How many training processes the config asks for; 1 where it cannot be read."""
    try:
        devices = tomllib.loads(run.config.read_text(encoding="utf-8"))["launch"]["devices"]
    except (OSError, ValueError, LookupError, TypeError):
        return 1
    return devices if isinstance(devices, int) and devices > 0 else 1
