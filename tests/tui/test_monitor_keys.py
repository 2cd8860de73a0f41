"""Every key on the monitor."""

from pathlib import Path

import pytest

from dpo_tui.screens.config import ConfigScreen
from dpo_tui.widgets.confirm import Confirm
from dpo_tui.widgets.log_view import LogView
from dpo_tui.widgets.notices import NoticesScreen
from engine.rundir.control import Control
from engine.rundir.status import Reason
from tests.tui.driving import frame, settle, shows, wait_for
from tests.tui.fake_runs import OUT_OF_MEMORY, SLOW_MODE, make_run, step_event, write_events
from tests.tui.monitoring import STATES, lines_with, monitor_of, monitoring, said, stand_still

pytestmark = pytest.mark.usefixtures("still_clock")


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)


async def test_a_checkpoint_that_is_asked_for_is_acknowledged_when_it_comes(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running")
    async with monitoring(run) as pilot:
        await pilot.press("p")
        await wait_for(pilot, lambda: "checkpoint asked for" in frame(pilot.app))
        assert said(pilot) == ["Checkpoint asked for: it is saved after step 61."]
        assert Control(run.control_dir).take_checkpoint_request()
        saved = {"step": 61, "path": "x", "seconds": 1.0, "bytes": 5, "verified": True}
        write_events(run, [step_event(61), {"type": "save", **saved}])
        await wait_for(pilot, lambda: "checkpoint 61 ✓" in frame(pilot.app))
        assert said(pilot)[1:] == ["Checkpoint 61 is saved."]


async def test_no_step_is_promised_where_not_every_step_is_told(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running")
    write_events(run, [step_event(70), step_event(80)])
    async with monitoring(run) as pilot:
        await pilot.press("p")
        await wait_for(pilot, lambda: said(pilot))
        assert "after the step that is being trained" in said(pilot)[0]


async def test_a_control_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running")
    run.control_dir.write_text("a file in its place")
    async with monitoring(run) as pilot:
        await pilot.press("p")
        await wait_for(pilot, lambda: any("cannot write" in one for one in said(pilot)))
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
        await shows(pilot, "+1 more")
        await pilot.press("w")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, NoticesScreen))
        await settle(pilot)
        assert len(lines_with(frame(pilot.app), "⚠")) >= 2
        await shows(pilot, "2 times")
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
        await pilot.press("slash", *"step 11/", "enter")
        await wait_for(pilot, lambda: "1 of 1" in frame(pilot.app))
        assert lines_with(frame(pilot.app), "step 11/100")


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
        await wait_for(pilot, lambda: any("model.id" in one for one in said(pilot)))
        assert monitor_of(pilot).resumable


async def test_a_run_without_a_checkpoint_is_not_resumed_but_says_what_can_be_done(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="failed", steps=9, reason=OUT_OF_MEMORY)
    async with monitoring(run) as pilot:
        assert "r go on from the newest checkpoint" not in frame(pilot.app)
        await shows(pilot, "o change the config")
        assert not lines_with(frame(pilot.app), "r Resume")
        await pilot.press("r")
        await wait_for(pilot, lambda: said(pilot))
        assert said(pilot) == [
            "There is no checkpoint to resume from: the run ended before it saved one. "
            "Press o to open its config and start a new run."
        ]
        assert not monitor_of(pilot)._resuming
