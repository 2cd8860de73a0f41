"""The monitor in an app of its own: nothing below it but an empty screen, and a machine that does nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.pilot import Pilot
from textual.screen import Screen

from dpo_tui.app import DpoApp
from dpo_tui.host import Load
from dpo_tui.screens.monitor import MonitorScreen
from engine.launch.local import SupervisorCommand, supervisor_command
from engine.rundir.paths import RunDir
from tests.tui.driving import settle, wait_for

GIB = 2**30
QUIET = Load(cpu=0.38, used=9 * GIB, total=24 * GIB, run=2 * GIB, gpus=())


class MonitorApp(DpoApp):
    """Opens on one run; the list of runs stays empty."""

    def open_home(self) -> None:
        self.push_screen(Screen())

    @property
    def monitor(self) -> MonitorScreen:
        """The monitor, whatever is open over it."""
        return next(screen for screen in reversed(self.screen_stack) if isinstance(screen, MonitorScreen))


@asynccontextmanager
async def monitoring(
    run: RunDir, size: tuple[int, int] = (120, 40), supervisor: SupervisorCommand = supervisor_command
) -> AsyncIterator[Pilot[int]]:
    """The monitor of a run, drawn."""
    app = MonitorApp(run.root.parent, run=run.root, supervisor=supervisor)
    async with app.run_test(size=size, notifications=True) as pilot:
        await wait_for(pilot, lambda: app.monitor.follower.caught_up)
        await settle(pilot)
        yield pilot


def monitor_of(pilot: Pilot[int]) -> MonitorScreen:
    """The monitor that is driven."""
    assert isinstance(pilot.app, MonitorApp)
    return pilot.app.monitor


def lines_with(frame: str, word: str) -> list[str]:
    """The lines of a frame that hold a word."""
    return [line for line in frame.splitlines() if word in line]
