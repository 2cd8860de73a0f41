"""The first screen's keys and its mouse: what they open, delete, stop and resume."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from dpo_tui.screens.home import HomeScreen
from dpo_tui.text import Language
from dpo_tui.widgets.confirm import Ask, Confirm
from dpo_tui.widgets.run_table import RunTable
from engine.rundir.control import Control
from engine.rundir.paths import RunDir
from engine.rundir.status import Reason, read_record, read_status
from tests.fake_engine import supervisor
from tests.tui.driving import SIZES, frame, settle, shows, wait_for
from tests.tui.fake_runs import make_run
from tests.tui.home_app import Home, current, listed, listing, three

pytestmark = pytest.mark.usefixtures("still_clock")


@pytest.fixture
def started(runs_dir: Path) -> Iterator[None]:
    """Supervisors that the test has started end with it."""
    yield
    for record in map(read_record, runs_dir.glob("*/run.json")):
        if record is not None and record.pid != os.getpid() and record.supervisor.alive():
            os.kill(record.pid, 9)


@pytest.mark.parametrize("size", SIZES)
async def test_deleting_names_what_goes_and_keeps_it_by_default(
    language: Language, size: tuple[int, int], runs_dir: Path, snapshot: SnapshotAssertion
) -> None:
    run = make_run(runs_dir, "smollm2-concise", "done", total=100, save_every=40)
    run.export_dir.mkdir()
    (run.export_dir / "model.safetensors").write_bytes(bytes(98_100_000 - _size_of(run)))
    async with listing(runs_dir, 1, size) as (pilot, app):
        await pilot.press("x")
        await wait_for(pilot, lambda: isinstance(app.screen, Confirm))
        assert frame(app) == snapshot
        await pilot.press("enter")
        await settle(pilot)
        assert run.config.exists()


def _size_of(run: RunDir) -> int:
    return sum(path.stat().st_size for path in run.root.rglob("*") if path.is_file())


async def test_a_deleted_run_leaves_the_list(runs_dir: Path) -> None:
    three(runs_dir)
    async with listing(runs_dir, 3) as (pilot, app):
        await pilot.press("down", "x")
        await wait_for(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("down", "enter")
        await wait_for(pilot, lambda: not (runs_dir / "b").exists())
        await listed(pilot, 2)
        assert current(app) == "c"
        await shows(pilot, "b is deleted")


async def test_a_live_run_has_no_key_to_delete_it(runs_dir: Path) -> None:
    make_run(runs_dir, "live", "running")
    async with listing(runs_dir, 1) as (pilot, app):
        assert "Delete" not in frame(app)
        await pilot.press("x")
        await settle(pilot)
        assert isinstance(app.screen, HomeScreen)
        assert (runs_dir / "live").exists()


async def test_keys_open_what_they_name(runs_dir: Path) -> None:
    three(runs_dir)
    async with listing(runs_dir, 3) as (pilot, app):
        await pilot.press("n", "enter", "down", "e", "c")
        await pilot.pause()
        assert app.opened == [("wizard", None), ("monitor", "a"), ("export", "b"), ("compare", ["b", "c"])]


async def test_one_run_alone_is_not_compared(runs_dir: Path) -> None:
    three(runs_dir)
    async with listing(runs_dir, 3) as (pilot, app):
        await pilot.press("end", "c")
        await pilot.pause()
        assert app.opened == []
        await shows(pilot, "two to four")


async def test_a_click_selects_and_a_double_click_opens(runs_dir: Path) -> None:
    three(runs_dir)
    async with listing(runs_dir, 3) as (pilot, app):
        await pilot.click(RunTable, offset=(10, 3))
        await pilot.pause()
        assert current(app) == "c"
        assert app.opened == []
        await pilot.click(RunTable, offset=(10, 2), times=2)
        await pilot.pause()
        assert app.opened == [("monitor", "b")]


async def test_a_run_is_asked_to_stop_only_when_confirmed(runs_dir: Path) -> None:
    run = make_run(runs_dir, "live", "running")
    async with listing(runs_dir, 1) as (pilot, app):
        await pilot.press("s", "enter")
        await settle(pilot)
        assert not Control(run.control_dir).stop_requested()
        await pilot.press("s", "down", "enter")
        await wait_for(pilot, lambda: Control(run.control_dir).stop_requested())
        await wait_for(pilot, lambda: "saves a checkpoint" in frame(app))


async def test_a_stopped_run_is_resumed(runs_dir: Path, started: None) -> None:
    run = make_run(runs_dir, "again", "stopped", steps=40, total=120)
    app = Home(runs_dir)
    app.supervisor = supervisor("--steps", "45")
    async with app.run_test() as pilot:
        await listed(pilot, 1)
        await pilot.press("r")
        await wait_for(pilot, lambda: ("started", "again") in app.opened)

        def done() -> bool:
            status = read_status(run.status_json)
            return status is not None and status.state == "done"

        await wait_for(pilot, done)


async def test_what_keeps_a_run_from_being_resumed_is_said(runs_dir: Path) -> None:
    make_run(runs_dir, "broken", "failed", reason=Reason("x", "[red]no[/]"), config="[model]\nid = 3\n")
    async with listing(runs_dir, 1) as (pilot, app):
        await shows(pilot, "[red]no[/]")
        await pilot.press("r")
        await wait_for(pilot, lambda: "config.toml" in frame(app))
        assert app.opened == []


async def test_a_config_is_opened_and_remembered(runs_dir: Path, quiet_home: Path) -> None:
    config = quiet_home / "mine.toml"
    config.write_text("")
    app = Home(runs_dir)
    async with app.run_test() as pilot:
        await wait_for(pilot, lambda: app.screen.has_class("-empty"))
        await pilot.press("o", *"no.toml", "enter")
        await pilot.pause()
        assert isinstance(app.screen, Ask)
        await shows(pilot, "no such file")
        await pilot.press("ctrl+u", *"mine.toml", "enter")
        await pilot.pause()
        assert app.opened == [("wizard", config)]
        await pilot.press("o", "tab", "enter")
        await pilot.pause()
        assert app.opened == [("wizard", config)] * 2


async def test_a_run_of_another_directory_is_opened_and_listed_from_then_on(
    runs_dir: Path, quiet_home: Path
) -> None:
    three(runs_dir)
    other = make_run(quiet_home / "others", "far", "done", total=10)
    async with listing(runs_dir, 3) as (pilot, app):
        await pilot.press("a", *str(other.root.relative_to(quiet_home)), "enter")
        await pilot.pause()
        assert app.opened == [("monitor", "far")]
        await listed(pilot, 4)
        await shows(pilot, "far")


async def test_a_run_without_a_checkpoint_is_not_resumed_but_says_what_can_be_done(runs_dir: Path) -> None:
    make_run(runs_dir, "early", "failed", steps=9, reason=Reason("train.crashed", "boom"))
    async with listing(runs_dir, 1) as (pilot, app):
        assert "r Resume" not in frame(app)
        await pilot.press("r")
        await wait_for(pilot, lambda: "early ended before it saved a checkpoint" in frame(app))
        await shows(pilot, "Open it with")
        assert not app.opened
