"""The monitor's screen in every state of a run, and every key on it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from dpo_tui import runs, text
from dpo_tui.host import Gpu
from dpo_tui.metrics.history import History
from dpo_tui.screens.config import ConfigScreen
from dpo_tui.widgets import devices
from dpo_tui.widgets.chart_grid import ChartGrid
from dpo_tui.widgets.confirm import Confirm
from dpo_tui.widgets.log_view import LogView
from dpo_tui.widgets.notices import NoticesScreen
from engine.rundir.control import Control
from engine.rundir.paths import RunDir
from engine.rundir.status import Reason, Status, write_status
from tests.tui import fake_runs
from tests.tui.driving import SIZES, assert_sound, frame, settle, wait_for
from tests.tui.fake_runs import NOW, OUT_OF_MEMORY, SLOW_MODE, Preparing, make_run, step_event, write_events
from tests.tui.monitoring import QUIET, lines_with, monitor_of, monitoring


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch, still_clock: float) -> None:
    """Devices that stand still, and a clock that does, as the runs were left."""
    assert still_clock == NOW
    monkeypatch.setattr(devices, "look", lambda _: QUIET)
    monkeypatch.setattr(runs, "resume_command", lambda _: "dpo-tui --headless config.toml --resume")


def _damaged(runs_dir: Path) -> RunDir:
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


def _said(pilot: Pilot[int]) -> list[str]:
    """What the app has told beside its screens."""
    return [notification.message for notification in pilot.app._notifications]


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
    "damaged": _damaged,
}


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
        assert "Lower train.tokens_per_pack" in frame(pilot.app)


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
        assert "⚠ [red]no markup[/]" in frame(pilot.app)
        assert "\x1b" not in frame(pilot.app)


async def test_a_run_directory_that_goes_away_is_no_crash(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="done")
    async with monitoring(run) as pilot:
        shutil.rmtree(run.root)
        monitor_of(pilot).follower.look_again()
        await wait_for(pilot, lambda: "✗" in frame(pilot.app))
        await pilot.press("c")
        await wait_for(pilot, lambda: "No such file" in frame(pilot.app))


# Keys


async def test_a_checkpoint_that_is_asked_for_is_acknowledged_when_it_comes(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running")
    async with monitoring(run) as pilot:
        await pilot.press("p")
        await wait_for(pilot, lambda: "checkpoint asked for" in frame(pilot.app))
        assert Control(run.control_dir).take_checkpoint_request()
        saved = {"step": 61, "path": "x", "seconds": 1.0, "bytes": 5, "verified": True}
        write_events(run, [step_event(61), {"type": "save", **saved}])
        await wait_for(pilot, lambda: "checkpoint 61 ✓" in frame(pilot.app))


async def test_a_control_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running")
    run.control_dir.write_text("a file in its place")
    async with monitoring(run) as pilot:
        await pilot.press("p")
        await wait_for(pilot, lambda: any("cannot write" in said for said in _said(pilot)))
        assert "checkpoint asked for" not in frame(pilot.app)


@pytest.mark.parametrize("confirmed", [True, False])
async def test_a_stop_is_asked_for_once_it_is_confirmed(tmp_path: Path, confirmed: bool) -> None:
    run = make_run(tmp_path, state="running")
    async with monitoring(run) as pilot:
        await pilot.press("s")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await pilot.press(*(["down", "enter"] if confirmed else ["enter"]))
        await wait_for(pilot, lambda: pilot.app.screen is monitor_of(pilot))
        assert Control(run.control_dir).stop_requested() is confirmed


@pytest.mark.parametrize(
    ("state", "offered", "missing"),
    [
        ("running", "psel", "ro"),
        ("stopping", "pel", "sro"),
        ("done", "el", "psro"),
        ("failed", "reol", "ps"),
        ("stopped", "reol", "ps"),
        ("starting", "psl", "ero"),
    ],
)
async def test_only_what_can_be_done_is_offered(
    tmp_path: Path, state: str, offered: str, missing: str
) -> None:
    async with monitoring(STATES[state](tmp_path)) as pilot:
        keys = {name for name, active in pilot.app.screen.active_bindings.items() if active.enabled}
        assert set(offered) <= keys
        assert not set(missing) & keys


async def test_a_run_that_missed_its_gates_is_not_resumed_but_may_be_exported(tmp_path: Path) -> None:
    reason = Reason("gates.missed", "gates missed at step 100: eval rewards/accuracies is 0.5")
    run = make_run(tmp_path, state="failed", steps=100, save_every=50, reason=reason)
    async with monitoring(run) as pilot:
        assert "r" not in pilot.app.screen.active_bindings
        assert "e" in pilot.app.screen.active_bindings


async def test_warnings_are_explained_the_newest_first_and_each_once(tmp_path: Path) -> None:
    other = {"code": "checkpoint.bad", "text": "checkpoint of step 20 is not used: x", "params": {"step": 20}}
    run = make_run(tmp_path, state="running", warnings=[SLOW_MODE, other, SLOW_MODE])
    async with monitoring(run) as pilot:
        assert "+1 more" in frame(pilot.app)
        await pilot.press("w")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, NoticesScreen))
        await settle(pilot)
        assert len(lines_with(frame(pilot.app), "⚠")) >= 2
        assert "2 times" in frame(pilot.app)
        await pilot.press("w")
        await wait_for(pilot, lambda: pilot.app.screen is monitor_of(pilot))


async def test_the_config_can_be_read(tmp_path: Path) -> None:
    async with monitoring(make_run(tmp_path)) as pilot:
        await pilot.press("c")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, ConfigScreen))
        await wait_for(pilot, lambda: "smollm2-135m-instruct" in frame(pilot.app))
        await pilot.press("escape")
        await wait_for(pilot, lambda: pilot.app.screen is monitor_of(pilot))


async def test_the_log_is_hidden_shown_and_made_large(tmp_path: Path) -> None:
    async with monitoring(make_run(tmp_path)) as pilot:
        log = monitor_of(pilot).query_one(LogView)
        usual = log.size.height
        await pilot.press("l")
        await wait_for(pilot, lambda: not log.display)
        await pilot.press("L")
        await wait_for(pilot, lambda: log.display and log.size.height > 2 * usual)
        await pilot.press("L")
        await wait_for(pilot, lambda: log.size.height == usual)
        await pilot.press("slash", *"step 7/", "enter")
        await wait_for(pilot, lambda: "1 of 1" in frame(pilot.app))
        assert lines_with(frame(pilot.app), "step 7/100")


@pytest.mark.parametrize("key", ["q", "escape"])
async def test_leaving_goes_back_and_changes_nothing(tmp_path: Path, key: str) -> None:
    run = make_run(tmp_path, state="running")
    before = run.status_json.read_bytes()
    async with monitoring(run) as pilot:
        below = pilot.app.screen_stack[-2]
        await pilot.press(key)
        await wait_for(pilot, lambda: pilot.app.screen is below)
    assert run.status_json.read_bytes() == before
    assert not run.control_dir.exists()


async def test_detaching_leaves_the_app_and_says_how_to_come_back(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running")
    async with monitoring(run) as pilot:
        await pilot.press("d")
        await wait_for(pilot, lambda: pilot.app.return_code is not None)
        assert [farewell.root for farewell in monitor_of(pilot).dpo.farewells] == [run.root]
    assert not run.control_dir.exists()


async def test_the_other_machine_must_be_gone_before_a_run_is_resumed_here(tmp_path: Path) -> None:
    started: list[object] = []
    async with monitoring(STATES["silent"](tmp_path)) as pilot:
        monitor_of(pilot)._start = lambda: started.append(None)  # type: ignore[method-assign]
        await pilot.press("r")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await pilot.press("enter")
        await wait_for(pilot, lambda: pilot.app.screen is monitor_of(pilot))
        assert not started
        await pilot.press("r")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await pilot.press("down", "enter")
        await wait_for(pilot, lambda: started)


async def test_a_resume_that_is_refused_says_why(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="stopped", steps=50)
    run.config.write_text("[model]\nid = 3\n")
    async with monitoring(run) as pilot:
        await pilot.press("r")
        await wait_for(pilot, lambda: any("model.id" in said for said in _said(pilot)))
        assert monitor_of(pilot).resumable


# Where it runs


async def test_a_run_of_another_host_says_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dpo_tui.runs._SILENCE_SECONDS", 1e12)
    run = make_run(tmp_path, state="running", host="node7", launcher="slurm", job_id="81234")
    async with monitoring(run) as pilot:
        assert "slurm 81234" in frame(pilot.app)
        assert "runs on node7 as job 81234" in frame(pilot.app)
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
        assert "● training" in frame(pilot.app)
        assert "rewards/margins" in frame(pilot.app)


async def test_the_monitor_is_drawn_without_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with monitoring(STATES["warned"](tmp_path)) as pilot:
        assert "━" in frame(pilot.app)
        assert "─" in frame(pilot.app)
        assert "● training" in frame(pilot.app)


async def test_the_monitor_follows_the_size_of_the_terminal(tmp_path: Path) -> None:
    async with monitoring(STATES["failed"](tmp_path), (200, 60)) as pilot:
        for width, height in ((60, 16), (120, 40), (80, 24)):
            await pilot.resize_terminal(width, height)
            await settle(pilot)
            shown = frame(pilot.app).splitlines()
            assert len(shown) == height
            assert "✗" in shown[0]
            assert lines_with(frame(pilot.app), "Log")
