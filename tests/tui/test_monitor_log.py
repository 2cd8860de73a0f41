"""The monitor's log: what the processes print and what the run has done, in one list of lines."""

import os
from pathlib import Path
from typing import Any

import pytest

from dpo_tui.widgets.log_view import LogView
from engine.rundir.paths import RunDir
from engine.rundir.status import Status, write_status
from tests.tui.driving import frame, wait_for
from tests.tui.fake_runs import NOW, OUT_OF_MEMORY, SLOW_MODE, make_run, step_event, write_events
from tests.tui.monitoring import lines_with, monitor_of, monitoring, stand_still

pytestmark = pytest.mark.usefixtures("still_clock")

SAVED: dict[str, Any] = {"type": "save", "step": 61, "path": "/x", "seconds": 1.24, "verified": True}


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)


def story(pilot: Any) -> list[str]:
    """All lines of the log, without the time."""
    log = monitor_of(pilot).query_one(LogView)._log
    return [line[10:] if line[2:3] == ":" else line for line in map(log.line, range(len(log)))]


async def test_the_log_tells_what_the_run_does_with_the_time_of_day(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running", warnings=[SLOW_MODE])
    async with monitoring(run) as pilot:
        told = story(pilot)
        assert told[0].startswith("300 rows")
        assert "train" in told
        assert any(line.startswith("eval   step 40  loss") for line in told)
        assert any(line.startswith("saved  step 40 in 1.2 s") for line in told)
        assert any(line.startswith("warning: ") for line in told)
        assert lines_with(frame(pilot.app), "15:59:20  saved  step 40 in 1.2 s  checkpoints/step-40")
        write_events(run, [{"type": "resume", "attempt": 2, "from_step": 40}, SAVED])
        await wait_for(pilot, lambda: lines_with(frame(pilot.app), "saved  step 61 in 1.2 s"))
        assert lines_with(frame(pilot.app), "resumed from step 40 (attempt 2)")


async def test_steps_are_told_no_more_often_than_every_ten_seconds(tmp_path: Path) -> None:
    async with monitoring(make_run(tmp_path, state="running")) as pilot:
        steps = [line for line in story(pilot) if line.startswith("step ")]
        assert [line.split()[1] for line in steps][:3] == ["1/100", "6/100", "11/100"]


async def test_a_stop_that_was_asked_for_and_the_end_are_told(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running")
    async with monitoring(run) as pilot:
        write_status(run.status_json, Status(state="stopping", heartbeat=NOW, step=60, total=100))
        await wait_for(pilot, lambda: lines_with(frame(pilot.app), "stop asked for"))
        end = {"type": "end", "exit_code": 5, "code": "x.y", "text": "stopped\nafter step 60", "params": {}}
        write_events(run, [end])
        await wait_for(pilot, lambda: lines_with(frame(pilot.app), "ended: stopped"))
        assert story(pilot)[-1].strip() == "after step 60"
        write_status(run.status_json, Status(state="stopped", exit_code=5, heartbeat=NOW))
        await wait_for(pilot, lambda: "■ stopped" in frame(pilot.app))
        assert sum("ended:" in line for line in story(pilot)) == 1


async def test_a_run_that_left_no_last_word_ends_in_the_log_as_well(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="failed", steps=45, reason=OUT_OF_MEMORY)
    async with monitoring(run) as pilot:
        assert story(pilot)[-1].startswith("ended: out of memory")


def crashed(tmp_path: Path) -> RunDir:
    """A run whose library has printed its last lines right before the end."""
    run = make_run(tmp_path, state="running", steps=30, log="loading\nTraceback: a 7\nboom\n")
    os.utime(run.train_log, (NOW + 1, NOW + 1))
    write_events(run, [{"type": "end", "exit_code": 1, "code": "x.y", "text": "boom", "params": {}}], NOW + 2)
    return run


async def test_what_was_printed_last_stands_where_it_was_printed(tmp_path: Path) -> None:
    async with monitoring(crashed(tmp_path)) as pilot:
        assert story(pilot)[-4:] == ["loading", "Traceback: a 7", "boom", "ended: boom"]


async def test_a_search_goes_over_both_kinds_of_lines(tmp_path: Path) -> None:
    async with monitoring(crashed(tmp_path)) as pilot:
        await pilot.press("slash", *"boom", "enter")
        await wait_for(pilot, lambda: "2 of 2" in frame(pilot.app))
        assert story(pilot)[monitor_of(pilot).query_one(LogView).lines.current or 0] == "ended: boom"
        await pilot.press("N")
        await wait_for(pilot, lambda: "1 of 2" in frame(pilot.app))
        assert story(pilot)[monitor_of(pilot).query_one(LogView).lines.current or 0] == "boom"


async def test_a_search_hears_of_events_that_come(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running")
    async with monitoring(run) as pilot:
        await pilot.press("slash", *"step 61", "enter")
        await wait_for(pilot, lambda: "0 found" in frame(pilot.app))
        write_events(run, [step_event(61), SAVED], NOW + 60)
        await wait_for(pilot, lambda: "2 of 2" in frame(pilot.app))


async def test_a_log_that_is_being_read_stays_where_it_is_when_events_come(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running", steps=60, total=1000)
    async with monitoring(run) as pilot:
        lines = monitor_of(pilot).query_one(LogView).lines
        lines.focus()
        await pilot.press("home")
        before = len(story(pilot))
        write_events(run, [SAVED], NOW + 60)
        await wait_for(pilot, lambda: len(story(pilot)) > before)
        assert lines.top == 0
        assert lines_with(frame(pilot.app), f"of {before + 1}")
        await pilot.press("end")
        await wait_for(pilot, lambda: lines_with(frame(pilot.app), "saved  step 61"))


async def test_lines_printed_meanwhile_stand_where_they_came(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running")
    async with monitoring(run) as pilot:
        with run.train_log.open("a") as file:
            file.write("a library warns\n")
        await wait_for(pilot, lambda: story(pilot)[-1] == "a library warns")
        write_events(run, [SAVED], NOW + 60)
        await wait_for(pilot, lambda: story(pilot)[-1].startswith("saved  step 61"))
        assert story(pilot)[-2] == "a library warns"


async def test_events_that_start_anew_are_told_anew(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running")
    async with monitoring(run) as pilot:
        run.events.unlink()
        write_events(run, [step_event(1)])
        await wait_for(pilot, lambda: len(story(pilot)) == 2)
        assert story(pilot)[1].startswith("step 1")
