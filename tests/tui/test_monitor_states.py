"""The monitor's screen in every state of a run, and how it follows one."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from dpo_tui import text
from dpo_tui.host import Gpu
from dpo_tui.metrics.history import History
from dpo_tui.widgets import devices
from dpo_tui.widgets.chart_grid import ChartGrid
from dpo_tui.widgets.notices import NoticesScreen
from engine.rundir.status import Reason, Status, write_status
from tests.tui import fake_runs
from tests.tui.driving import SIZES, assert_sound, frame, settle, shows, wait_for
from tests.tui.fake_runs import NOW, OUT_OF_MEMORY, make_run, step_event, write_events
from tests.tui.monitoring import QUIET, STATES, lines_with, monitor_of, monitoring, stand_still

pytestmark = pytest.mark.usefixtures("still_clock")


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", STATES)
async def test_a_run_is_shown_in_every_state(
    tmp_path: Path, language: text.Language, snapshot: SnapshotAssertion, state: str, size: tuple[int, int]
) -> None:
    async with monitoring(STATES[state](tmp_path), size) as pilot:
        assert_sound(pilot.app)
        assert frame(pilot.app) == snapshot


# Following


async def test_steps_are_shown_as_they_come_and_nothing_is_redrawn_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    show = ChartGrid.show

    def noted(grid: ChartGrid, history: History) -> None:
        drawn.append(history.step)
        show(grid, history)

    monkeypatch.setattr(ChartGrid, "show", noted)
    run = make_run(tmp_path, state="running")
    async with monitoring(run) as pilot:
        screen = monitor_of(pilot)
        ticks, times = screen._ticks, len(drawn)
        await wait_for(pilot, lambda: screen._ticks > ticks + 2)
        assert len(drawn) == times
        write_events(run, [step_event(61)])
        await wait_for(pilot, lambda: "61/100" in frame(pilot.app))
        assert drawn[times:] == [61]


async def test_a_run_that_ends_while_it_is_watched_rings_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, state="running")
    async with monitoring(run) as pilot:
        rung: list[None] = []
        monkeypatch.setattr(pilot.app, "bell", lambda: rung.append(None))
        status = Status(state="failed", exit_code=1, reason=OUT_OF_MEMORY, heartbeat=NOW, step=60, total=100)
        write_status(run.status_json, status)
        await wait_for(pilot, lambda: "✗ out of memory" in frame(pilot.app))
        assert len(rung) == 1
        await shows(pilot, "Lower train.tokens_per_pack")


async def test_a_finished_run_rings_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[None] = []
    monkeypatch.setattr("textual.app.App.bell", lambda _: rung.append(None))
    async with monitoring(make_run(tmp_path)) as pilot:
        ticks = monitor_of(pilot)._ticks
        await wait_for(pilot, lambda: monitor_of(pilot)._ticks > ticks + 1)
        assert not rung


async def test_a_history_of_many_steps_is_read_to_its_end(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running", steps=1, total=20_000)
    write_events(run, [step_event(step, 20_000) for step in range(2, 15_001)])
    async with monitoring(run) as pilot:
        await wait_for(pilot, lambda: "15000/20000" in frame(pilot.app))


async def test_events_that_start_anew_are_followed_anew(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running")
    async with monitoring(run) as pilot:
        write_status(run.status_json, Status(state="running", heartbeat=NOW, step=1, total=100))
        run.events.unlink()
        write_events(run, [fake_runs.phase("train", "start", 0, 100), step_event(1)])
        await wait_for(pilot, lambda: "step 1/100   epoch 0.01" in frame(pilot.app))


# Text from outside


async def test_no_text_of_a_run_is_markup_or_steers_the_terminal(tmp_path: Path) -> None:
    evil = "[red]no markup[/] \x1b]0;title\x07 \x1b[2J"
    warning = {"code": "future.code", "text": evil, "params": {}}
    run = make_run(
        tmp_path,
        "[b]name",
        "failed",
        steps=9,
        reason=Reason("future.code", evil),
        warnings=[warning],
        log=evil,
    )
    async with monitoring(run) as pilot:
        shown = frame(pilot.app)
        assert "\x1b" not in shown
        assert "[b]name" in shown
        assert "✗ [red]no markup[/]" in shown
        await pilot.press("w")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, NoticesScreen))
        await shows(pilot, "⚠ [red]no markup[/]")
        assert "\x1b" not in frame(pilot.app)


async def test_a_run_directory_that_goes_away_is_no_crash(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="done")
    async with monitoring(run) as pilot:
        shutil.rmtree(run.root)
        monitor_of(pilot).follower.look_again()
        await wait_for(pilot, lambda: "✗" in frame(pilot.app))
        await pilot.press("c")
        await wait_for(pilot, lambda: "No such file" in frame(pilot.app))


# Where it runs


async def test_a_run_of_another_host_says_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpo_tui.runs._SILENCE_SECONDS", 1e12)
    run = make_run(tmp_path, state="running", host="node7", launcher="slurm", job_id="81234")
    async with monitoring(run) as pilot:
        await shows(pilot, "slurm 81234", "runs on node7 as job 81234")
        assert "CPU" not in frame(pilot.app)


async def test_gpus_have_a_piece_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = tuple(Gpu(index, 68 * 2**30, 80 * 2**30, 0.97) for index in range(4))
    monkeypatch.setattr(devices, "look", lambda _: replace(QUIET, gpus=gpus))
    async with monitoring(make_run(tmp_path, state="running")) as pilot:
        await wait_for(pilot, lambda: "GPU 3 ███████░ 68/80 GiB 97 %" in frame(pilot.app))
        assert "no GPU" not in frame(pilot.app)
        assert_sound(pilot.app)


def test_the_runs_of_these_tests_are_what_their_engine_would_have_written(tmp_path: Path) -> None:
    run = make_run(tmp_path, total=10)
    events = [json.loads(line) for line in run.events.read_text().splitlines()]
    assert [event["step"] for event in events if event["type"] == "step"] == list(range(1, 11))
    assert events[-1]["type"] == "end"
    assert events[-1]["time"] == NOW


@pytest.mark.parametrize("theme", ["dpo-light", "ansi-dark", "ansi-light", "textual-dark"])
async def test_the_monitor_is_drawn_in_every_kind_of_theme(tmp_path: Path, theme: str) -> None:
    async with monitoring(STATES["warned"](tmp_path)) as pilot:
        pilot.app.theme = theme
        await settle(pilot)
        await shows(pilot, "● training", "rewards/margins")


async def test_the_monitor_is_drawn_without_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with monitoring(STATES["warned"](tmp_path)) as pilot:
        await shows(pilot, "━", "─", "● training")


async def test_the_monitor_follows_the_size_of_the_terminal(tmp_path: Path) -> None:
    async with monitoring(STATES["failed"](tmp_path), (200, 60)) as pilot:
        for width, height in ((60, 16), (120, 40), (80, 24)):
            await pilot.resize_terminal(width, height)
            await settle(pilot)
            shown = frame(pilot.app).splitlines()
            assert len(shown) == height
            assert "✗" in shown[0]
            assert lines_with(frame(pilot.app), "Log")
