"""The first screen where something is odd: a run, a path, a machine that is silent, time that goes on."""

from pathlib import Path

import pytest
from textual.widgets import Input

from dpo_tui import clock
from dpo_tui.screens.home import HomeScreen
from dpo_tui.widgets.confirm import Ask, Confirm
from engine.rundir.paths import RunDir
from engine.rundir.status import Reason
from tests.tui.driving import frame, settle, shows, wait_for
from tests.tui.fake_runs import NOW, make_run
from tests.tui.home_app import Home, listing, three

pytestmark = pytest.mark.usefixtures("still_clock")


def silent(runs_dir: Path) -> RunDir:
    return make_run(runs_dir, "far", "running", host="node7", heard=NOW - 300)


async def test_a_reading_that_fails_is_said_and_tried_again(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    three(runs_dir)

    def fail(*_: object) -> None:
        raise RuntimeError("[red]odd[/]")

    async with listing(runs_dir, 3) as (pilot, app):
        assert isinstance(app.screen, HomeScreen)
        monkeypatch.setattr(app.screen._list, "read", fail)
        await wait_for(pilot, lambda: "[red]odd[/]" in frame(app))
        monkeypatch.undo()
        await wait_for(pilot, lambda: app.screen.has_class("-list"))


async def test_numbers_that_no_float_holds_hide_no_run(runs_dir: Path) -> None:
    three(runs_dir)
    huge = "1" + "0" * 400
    run = make_run(runs_dir, "odd", "done", total=10, heard=NOW)
    run.status_json.write_text(
        f'{{"state": "done", "heartbeat": {huge}, "step": {huge}, "total": {huge}, "exit_code": 0}}'
    )
    run.summary_json.write_text(f'{{"train": {{"rewards/margins": {huge}, "rewards/accuracies": 1e999}}}}')
    async with listing(runs_dir, 4) as (pilot, _):
        await shows(pilot, "odd")


@pytest.mark.parametrize(("key", "said"), [("o", "no such file"), ("a", "no run")])
@pytest.mark.parametrize("typed", ["x" * 300, "~nobody-here/x", "~nobody-here/config.toml"])
async def test_a_path_that_no_disk_can_hold_is_refused(
    runs_dir: Path, key: str, said: str, typed: str
) -> None:
    three(runs_dir)
    async with listing(runs_dir, 3) as (pilot, app):
        await pilot.press(key)
        await wait_for(pilot, lambda: isinstance(app.screen, Ask))
        app.screen.query_one(Input).value = typed
        await pilot.press("enter")
        await wait_for(pilot, lambda: said in frame(app))
        assert isinstance(app.screen, Ask)
        assert app.opened == []


async def test_a_config_below_a_home_of_nobody_is_opened_by_its_name(
    runs_dir: Path, quiet_home: Path
) -> None:
    (quiet_home / "~nobody-here").mkdir()
    (quiet_home / "~nobody-here" / "x.toml").write_text("")
    three(runs_dir)
    async with listing(runs_dir, 3) as (pilot, app):
        await pilot.press("o", *"~nobody-here/x.toml", "enter")
        await wait_for(pilot, lambda: app.opened == [("wizard", quiet_home / "~nobody-here" / "x.toml")])


async def test_the_other_machine_must_be_gone_before_a_run_is_resumed_here(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent(runs_dir)
    resumed: list[Path] = []

    def resume(root: Path, _supervisor: object) -> bool:
        resumed.append(root)
        return True

    monkeypatch.setattr("dpo_tui.screens.run_actions.resume", resume)
    async with listing(runs_dir, 1) as (pilot, app):
        await pilot.press("r")
        await wait_for(pilot, lambda: isinstance(app.screen, Confirm))
        await shows(pilot, "two processes")
        await pilot.press("enter")
        await settle(pilot)
        assert not resumed
        await pilot.press("r")
        await wait_for(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("down", "enter")
        await wait_for(pilot, lambda: resumed == [runs_dir / "far"])


async def test_deleting_a_run_of_a_silent_machine_says_what_may_be_lost(runs_dir: Path) -> None:
    silent(runs_dir)
    make_run(runs_dir, "near", "done", total=10, heard=NOW - 9000)
    async with listing(runs_dir, 2, (120, 40)) as (pilot, app):
        for warned in (True, False):
            await pilot.press("x")
            await wait_for(pilot, lambda: isinstance(app.screen, Confirm))
            assert ("has been silent" in frame(app)) is warned
            await pilot.press("escape", "down")


async def test_a_run_that_missed_its_gates_is_not_resumed(runs_dir: Path) -> None:
    make_run(runs_dir, "missed", "failed", total=10, reason=Reason("gates.missed", "gates missed"))
    async with listing(runs_dir, 1) as (_, app):
        assert not app.screen.check_action("resume", ())
        assert "Resume" not in frame(app).splitlines()[-1]


async def test_ages_grow_while_nothing_else_changes(runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(runs_dir, "old", "done", total=10, heard=NOW - 100)
    async with listing(runs_dir, 1) as (pilot, app):
        await shows(pilot, "1m ago")
        monkeypatch.setattr(clock, "now", lambda: NOW + 7200)
        await wait_for(pilot, lambda: "2h ago" in frame(app))
        assert isinstance(app, Home)
