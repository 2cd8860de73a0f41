"""The first screen: what it shows of the runs, and what its keys do."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from dpo_tui import clock
from dpo_tui.app import DpoApp
from dpo_tui.run_list import RunList, RunRow
from dpo_tui.screens.home import HomeScreen
from dpo_tui.text import Language
from dpo_tui.widgets.confirm import Ask, Confirm
from dpo_tui.widgets.run_table import RunTable
from engine.rundir.control import Control
from engine.rundir.paths import RunDir
from engine.rundir.status import Reason, read_record, read_status
from tests.fake_engine import supervisor
from tests.tui.driving import SIZES, assert_sound, frame, settle, wait_for
from tests.tui.fake_runs import NOW, OUT_OF_MEMORY, make_run, step_event, write_events


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def runs_dir(quiet_home: Path) -> Path:
    return quiet_home / "runs"


class Home(DpoApp):
    """The app whose other screens are only noted."""

    def __init__(self, runs_dir: Path) -> None:
        super().__init__(runs_dir)
        self.opened: list[object] = []

    def open_monitor(self, root: Path) -> None:
        self.opened.append(("monitor", root.name))

    def open_wizard(self, config: Path | None = None) -> None:
        self.opened.append(("wizard", config))

    def open_export(self, root: Path) -> None:
        self.opened.append(("export", root.name))

    def open_compare(self, roots: Sequence[Path]) -> None:
        self.opened.append(("compare", [root.name for root in roots]))

    def run_started(self, root: Path) -> None:
        self.opened.append(("started", root.name))


def many(runs_dir: Path) -> None:
    """A run of each kind."""
    make_run(runs_dir, "zephyr-7b-orpo", "running", steps=412, total=600)
    make_run(runs_dir, "internlm2-sweep", None, events=False, live=True, launcher="slurm", job_id="81234")
    make_run(runs_dir, "smollm2-concise", "done", total=300, heard=NOW - 7300)
    make_run(runs_dir, "qwen-long", "failed", steps=37, total=900, reason=OUT_OF_MEMORY, heard=NOW - 90_000)
    make_run(runs_dir, "tulu [b]3", "stopped", steps=40, total=120, heard=NOW - 300_000)
    damaged = make_run(runs_dir, "deleted-config", "done", total=10)
    damaged.config.unlink()
    os.utime(damaged.root, (NOW - 400_000, NOW - 400_000))


def three(runs_dir: Path) -> None:
    """Three runs that have ended, the newest "a"."""
    for number, name in enumerate("abc"):
        make_run(runs_dir, name, "done", total=10, heard=NOW - 100 - number)


async def listed(pilot: Pilot[int], rows: int) -> Home:
    """Wait until this many runs are shown with their curves."""
    app = pilot.app
    assert isinstance(app, Home)
    await wait_for(pilot, lambda: len(app.screen.query_one(RunTable)._rows) == rows)
    await wait_for(pilot, lambda: not app.screen._reading)  # type: ignore[attr-defined]
    await settle(pilot)
    return app


def current(app: Home) -> str:
    """The run under the cursor."""
    row = app.screen_stack[1].query_one(RunTable).current
    return row.name if row else ""


@pytest.fixture
def started(runs_dir: Path) -> Iterator[None]:
    """Supervisors that the test has started end with it."""
    yield
    for record in map(read_record, runs_dir.glob("*/run.json")):
        if record is not None and record.pid != os.getpid() and record.supervisor.alive():
            os.kill(record.pid, 9)


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
    async with Home(runs_dir).run_test(size=size) as pilot:
        app = await listed(pilot, 6)
        assert_sound(app)
        assert frame(app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_a_failed_run_says_why_and_what_to_do(
    language: Language, size: tuple[int, int], runs_dir: Path, snapshot: SnapshotAssertion
) -> None:
    many(runs_dir)
    async with Home(runs_dir).run_test(size=size) as pilot:
        app = await listed(pilot, 6)
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
    async with Home(runs_dir).run_test(size=size) as pilot:
        app = await listed(pilot, 6)
        await pilot.press("down", "space", "space")
        await pilot.pause()
        assert_sound(app)
        assert frame(app) == snapshot
        await pilot.press("c")
        await pilot.pause()
        assert app.opened == [("compare", ["zephyr-7b-orpo", "smollm2-concise"])]


@pytest.mark.parametrize("size", SIZES)
async def test_deleting_names_what_goes_and_keeps_it_by_default(
    language: Language, size: tuple[int, int], runs_dir: Path, snapshot: SnapshotAssertion
) -> None:
    run = make_run(runs_dir, "smollm2-concise", "done", total=100, save_every=40)
    run.export_dir.mkdir()
    (run.export_dir / "model.safetensors").write_bytes(bytes(98_100_000 - _size_of(run)))
    async with Home(runs_dir).run_test(size=size) as pilot:
        app = await listed(pilot, 1)
        await pilot.press("x")
        await wait_for(pilot, lambda: isinstance(app.screen, Confirm))
        assert frame(app) == snapshot
        await pilot.press("enter")
        await settle(pilot)
        assert run.config.exists()


def _size_of(run: RunDir) -> int:
    return sum(path.stat().st_size for path in run.root.rglob("*") if path.is_file())


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
            await wait_for(pilot, lambda: app.screen.has_class("-loading"))
            assert frame(app) == snapshot
        finally:
            go_on.set()
        await wait_for(pilot, lambda: app.screen.has_class("-empty"))


async def test_a_deleted_run_leaves_the_list(runs_dir: Path) -> None:
    three(runs_dir)
    async with Home(runs_dir).run_test() as pilot:
        app = await listed(pilot, 3)
        await pilot.press("down", "x")
        await wait_for(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("down", "enter")
        await wait_for(pilot, lambda: not (runs_dir / "b").exists())
        await listed(pilot, 2)
        assert current(app) == "c"
        assert "b is deleted" in frame(app)


async def test_a_live_run_has_no_key_to_delete_it(runs_dir: Path) -> None:
    make_run(runs_dir, "live", "running")
    async with Home(runs_dir).run_test() as pilot:
        app = await listed(pilot, 1)
        assert "Delete" not in frame(app)
        await pilot.press("x")
        await settle(pilot)
        assert isinstance(app.screen, HomeScreen)
        assert (runs_dir / "live").exists()


async def test_keys_open_what_they_name(runs_dir: Path) -> None:
    three(runs_dir)
    async with Home(runs_dir).run_test() as pilot:
        app = await listed(pilot, 3)
        await pilot.press("n", "enter", "down", "e", "c")
        await pilot.pause()
        assert app.opened == [("wizard", None), ("monitor", "a"), ("export", "b"), ("compare", ["b", "c"])]


async def test_one_run_alone_is_not_compared(runs_dir: Path) -> None:
    three(runs_dir)
    async with Home(runs_dir).run_test() as pilot:
        app = await listed(pilot, 3)
        await pilot.press("end", "c")
        await pilot.pause()
        assert app.opened == []
        assert "two to four" in frame(app)


async def test_a_click_selects_and_a_double_click_opens(runs_dir: Path) -> None:
    three(runs_dir)
    async with Home(runs_dir).run_test() as pilot:
        app = await listed(pilot, 3)
        await pilot.click(RunTable, offset=(10, 3))
        await pilot.pause()
        assert current(app) == "c"
        assert app.opened == []
        await pilot.click(RunTable, offset=(10, 2), times=2)
        await pilot.pause()
        assert app.opened == [("monitor", "b")]


async def test_the_cursor_stays_on_its_run_when_the_order_changes(runs_dir: Path) -> None:
    three(runs_dir)
    async with Home(runs_dir).run_test() as pilot:
        app = await listed(pilot, 3)
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
    async with Home(runs_dir).run_test() as pilot:
        app = await listed(pilot, 4)
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


async def test_a_run_is_asked_to_stop_only_when_confirmed(runs_dir: Path) -> None:
    run = make_run(runs_dir, "live", "running")
    async with Home(runs_dir).run_test() as pilot:
        app = await listed(pilot, 1)
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
    async with Home(runs_dir).run_test() as pilot:
        app = await listed(pilot, 1)
        assert "[red]no[/]" in frame(app)
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
        assert "no such file" in frame(app)
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
    async with Home(runs_dir).run_test() as pilot:
        app = await listed(pilot, 3)
        await pilot.press("a", *str(other.root.relative_to(quiet_home)), "enter")
        await pilot.pause()
        assert app.opened == [("monitor", "far")]
        await listed(pilot, 4)
        assert "far" in frame(app)


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
        assert "run-499" in frame(app)
