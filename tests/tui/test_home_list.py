"""The list of runs on the first screen: what it shows of them, and that it follows them."""

import os
import threading
import time
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from dpo_tui.run_list import RunList, RunRow
from dpo_tui.text import Language
from dpo_tui.widgets.run_table import RunTable
from tests.tui.driving import SIZES, assert_sound, frame, shows, wait_for
from tests.tui.fake_runs import make_run, step_event, write_events
from tests.tui.home_app import Home, current, listed, listing, many, three

pytestmark = pytest.mark.usefixtures("still_clock")


@pytest.mark.parametrize("size", SIZES)
async def test_the_first_start_says_what_to_press(
    language: Language, size: tuple[int, int], runs_dir: Path, snapshot: SnapshotAssertion
) -> None:
    app = Home(runs_dir)
    async with app.run_test(size=size) as pilot:
        await wait_for(pilot, lambda: app.screen.has_class("-empty"))
        assert_sound(app)
        assert frame(app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_runs_of_every_kind_are_listed(
    language: Language, size: tuple[int, int], runs_dir: Path, snapshot: SnapshotAssertion
) -> None:
    many(runs_dir)
    async with listing(runs_dir, 6, size) as (_, app):
        assert_sound(app)
        assert frame(app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_a_failed_run_says_why_and_what_to_do(
    language: Language, size: tuple[int, int], runs_dir: Path, snapshot: SnapshotAssertion
) -> None:
    many(runs_dir)
    async with listing(runs_dir, 6, size) as (pilot, app):
        await pilot.press("down", "down", "down")
        await pilot.pause()
        assert current(app) == "qwen-long"
        assert_sound(app)
        assert frame(app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_runs_marked_for_comparing_are_seen(
    language: Language, size: tuple[int, int], runs_dir: Path, snapshot: SnapshotAssertion
) -> None:
    many(runs_dir)
    async with listing(runs_dir, 6, size) as (pilot, app):
        await pilot.press("down", "space", "space")
        await pilot.pause()
        assert_sound(app)
        assert frame(app) == snapshot
        await pilot.press("c")
        await pilot.pause()
        assert app.opened == [("compare", ["zephyr-7b-orpo", "smollm2-concise"])]


@pytest.mark.parametrize("size", SIZES)
async def test_until_the_runs_are_read_the_screen_says_so(
    language: Language,
    size: tuple[int, int],
    runs_dir: Path,
    snapshot: SnapshotAssertion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on = threading.Event()

    def slow(_list: RunList, _elsewhere: object) -> list[RunRow]:
        go_on.wait()
        return []

    monkeypatch.setattr(RunList, "read", slow)
    app = Home(runs_dir)
    async with app.run_test(size=size) as pilot:
        try:
            await wait_for(pilot, lambda: app.screen.has_class("-loading") and footer_is_drawn(app))
            assert frame(app) == snapshot
        finally:
            go_on.set()
        await wait_for(pilot, lambda: app.screen.has_class("-empty"))


def footer_is_drawn(app: Home) -> bool:
    """It comes after the screen it stands on."""
    return bool(frame(app).splitlines()[-1].strip())


async def test_the_cursor_stays_on_its_run_when_the_order_changes(runs_dir: Path) -> None:
    three(runs_dir)
    async with listing(runs_dir, 3) as (pilot, app):
        await pilot.press("down")
        make_run(runs_dir, "newer", "running")
        await listed(pilot, 4)
        assert current(app) == "b"
        lines = [line for line in frame(app).splitlines() if "\u25b8" in line]
        assert len(lines) == 1
        assert "b" in lines[0].split()


async def test_only_a_run_that_has_changed_is_drawn_again(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    three(runs_dir)
    live = make_run(runs_dir, "live", "running", steps=20, total=100)
    async with listing(runs_dir, 4) as (pilot, app):
        table = app.screen.query_one(RunTable)
        drawn: list[int] = []
        render_line = table.render_line

        def noted(y: int) -> object:
            drawn.append(y)
            return render_line(y)

        monkeypatch.setattr(table, "render_line", noted)
        write_events(live, [step_event(21)])
        await wait_for(pilot, lambda: table._rows[0].curve.points[-1].step == 21)
        assert set(drawn) == {1}


async def test_a_directory_that_cannot_be_read_is_named(quiet_home: Path) -> None:
    (quiet_home / "file").write_text("")
    app = Home(quiet_home / "file")
    async with app.run_test() as pilot:
        await wait_for(pilot, lambda: "--runs names" in frame(app))
        assert "No runs" not in frame(app)


async def test_five_hundred_long_runs_are_listed_without_holding_up_keys(runs_dir: Path) -> None:
    run = make_run(runs_dir, "run-000", "done", total=50)
    lines = run.events.read_bytes()
    run.events.write_bytes(lines * (3_000_000 // len(lines)))
    for number in range(1, 500):
        root = runs_dir / f"run-{number:03}"
        root.mkdir()
        for file in (run.config, run.status_json, run.summary_json, run.run_json, run.events):
            os.link(file, root / file.name)
    app = Home(runs_dir)
    started = time.monotonic()
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for(pilot, lambda: app.screen.query(RunTable) and app.screen.query_one(RunTable)._rows)
        assert time.monotonic() - started < 5
        await pilot.press("end")
        await pilot.pause()
        assert current(app) == "run-499"
        await listed(pilot, 500)
        await shows(pilot, "run-499")
