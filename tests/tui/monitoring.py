"""The monitor in an app of its own: nothing below it but an empty screen, and a machine that does nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from dpo_tui import runs
from dpo_tui.app import DpoApp
from dpo_tui.host import Load
from dpo_tui.screens.monitor import MonitorScreen
from dpo_tui.widgets import devices
from engine.launch.local import SupervisorCommand, supervisor_command
from engine.rundir.paths import RunDir
from tests.tui.driving import settle, wait_for
from tests.tui.fake_runs import NOW, OUT_OF_MEMORY, SLOW_MODE, Preparing, make_run

GIB = 2**30
QUIET = Load(cpu=0.38, used=9 * GIB, total=24 * GIB, run=2 * GIB, gpus=())


def stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices that are always as busy, and a command that is the same everywhere."""
    monkeypatch.setattr(devices, "look", lambda _: QUIET)
    monkeypatch.setattr(runs, "resume_command", lambda _: "dpo-tui --headless config.toml --resume")


def damaged(runs_dir: Path) -> RunDir:
    """Events between which a disk has left its own."""
    run = make_run(runs_dir, state="running")
    lines = run.events.read_bytes().splitlines(keepends=True)
    lines[20:20] = [
        b"\x00\x00\xff\xfe\n",
        b'{"type": "step", "step": "ten", "loss": {}}\n',
        b"[1, 2]\n",
        b"{\n",
    ]
    run.events.write_bytes(b"".join(lines) + b'{"v":1,"time":17640000')
    return run


STATES: dict[str, Any] = {
    "starting": lambda runs_dir: make_run(runs_dir, state="starting", events=False, log=""),
    "preparing": lambda runs_dir: make_run(runs_dir, state="running", preparing=Preparing(), log=""),
    "running": lambda runs_dir: make_run(runs_dir, state="running"),
    "warned": lambda runs_dir: make_run(runs_dir, state="running", warnings=[SLOW_MODE]),
    "stopping": lambda runs_dir: make_run(runs_dir, state="stopping"),
    "done": lambda runs_dir: make_run(runs_dir, state="done"),
    "failed": lambda runs_dir: make_run(runs_dir, state="failed", steps=45, reason=OUT_OF_MEMORY),
    "stopped": lambda runs_dir: make_run(runs_dir, state="stopped", steps=50),
    "silent": lambda runs_dir: make_run(
        runs_dir, state="running", host="node7", launcher="slurm", job_id="81234", heard=NOW - 300
    ),
    "damaged": damaged,
}
"""A run in every state, by the directory that it is to be in."""


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


def said(pilot: Pilot[int]) -> list[str]:
    """What the app has told beside its screens."""
    return [notification.message for notification in pilot.app._notifications]
