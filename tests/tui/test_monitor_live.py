"""The monitor over a run that really runs: its curves move, and it is asked, stopped and resumed by key."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpo_tui.runs import is_live
from dpo_tui.screens.monitor import MonitorScreen
from dpo_tui.widgets.confirm import Confirm
from engine.launch.local import spawn_supervisor
from engine.rundir.paths import RunDir
from engine.rundir.status import read_record
from tests.fake_engine import supervisor
from tests.tui.driving import frame, shows, wait_for
from tests.tui.fake_runs import make_run
from tests.tui.monitoring import monitor_of, monitoring
from tests.waiting import until

ENDLESS = supervisor("--endless", "--steps", "1000", "--pause", "0.02")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDir]:
    """A run that trains without end, and does not outlive the test."""
    run = make_run(tmp_path, state=None, events=False, log="")
    run.run_json.unlink()
    process = spawn_supervisor(run, owner=False, command=ENDLESS)
    try:
        until(run.events.exists)
        yield run
    finally:
        process.kill()
        process.wait()
        record = read_record(run.run_json)
        if record is not None and record.supervisor.alive():
            os.kill(record.pid, signal.SIGKILL)
        until(lambda: not is_live(run))


async def test_a_live_run_is_watched_asked_stopped_and_resumed(run: RunDir) -> None:
    async with monitoring(run, supervisor=ENDLESS) as pilot:
        screen = monitor_of(pilot)
        await wait_for(pilot, lambda: "● training" in frame(pilot.app) and screen.follower.history.step > 5)
        seen = screen.follower.history.step
        await wait_for(pilot, lambda: screen.follower.history.step > seen + 5)
        await shows(pilot, "/1000")

        await pilot.press("p")
        await wait_for(pilot, lambda: screen.follower.history.saves)
        await wait_for(
            pilot, lambda: f"checkpoint {screen.follower.history.saves[0].step} ✓" in frame(pilot.app)
        )

        await pilot.press("s")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await pilot.press("down", "enter")
        await wait_for(pilot, lambda: "■ stopped" in frame(pilot.app), seconds=30)
        stopped_at = screen.follower.status.step

        await pilot.press("r")
        await wait_for(pilot, lambda: pilot.app.screen is not screen, seconds=30)
        resumed = monitor_of(pilot)
        assert isinstance(pilot.app.screen, MonitorScreen)
        await wait_for(pilot, lambda: resumed.follower.history.step > stopped_at + 5, seconds=30)
        assert (resumed.follower.history.attempt, resumed.follower.history.from_step) == (2, stopped_at)
        await wait_for(pilot, lambda: "● training" in frame(pilot.app))


async def test_a_run_goes_on_when_the_app_is_left(run: RunDir) -> None:
    async with monitoring(run, supervisor=ENDLESS) as pilot:
        await wait_for(pilot, lambda: monitor_of(pilot).follower.history.step > 3)
        await pilot.press("d")
        await wait_for(pilot, lambda: pilot.app.return_code is not None)
    size = run.events.stat().st_size
    until(lambda: run.events.stat().st_size > size)
    assert is_live(run)


async def test_a_killed_run_is_said_to_be_gone_and_can_be_resumed(run: RunDir) -> None:
    async with monitoring(run, supervisor=ENDLESS) as pilot:
        await wait_for(pilot, lambda: monitor_of(pilot).follower.record is not None)
        record = monitor_of(pilot).follower.record
        assert record is not None
        os.kill(record.pid, signal.SIGKILL)
        await wait_for(pilot, lambda: "its supervisor is gone" in frame(pilot.app))
        assert "r" in pilot.app.screen.active_bindings
