"""Runs side by side."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.screen import Screen

from dpo_tui.comparing import config_differences
from dpo_tui.screens.compare import CompareScreen
from dpo_tui.text import Language
from dpo_tui.widgets.compare_plot import METRICS, ComparePlot
from engine.rundir.paths import RunDir
from tests.fake_engine import CONFIG
from tests.tui.charted import Shown
from tests.tui.driving import SIZES, assert_sound, frame, shows, wait_for
from tests.tui.fake_runs import Event, healthy, make_run, step_event

SLOWER = CONFIG + "[optimizer]\nlearning_rate = 1e-7\n[objective]\nbeta = 0.2\n"


def weaker(step: int, total: int) -> Event:
    metrics = healthy(step, total)
    return {
        **metrics,
        "loss": 0.693 - (0.693 - metrics["loss"]) / 2,
        "rewards/margins": metrics["rewards/margins"] / 2,
    }


def two(runs_dir: Path) -> tuple[Path, Path]:
    first = make_run(runs_dir, "beta-0.1")
    second = make_run(
        runs_dir, "beta-0.2-with-a-name-that-is-much-too-long", "running", config=SLOWER, curve=weaker
    )
    return first.root, second.root


class Compares(Shown):
    """Opens the screen over nothing."""

    def __init__(self, *roots: Path) -> None:
        super().__init__(Screen())
        self.roots = roots

    def compose(self):  # type: ignore[no-untyped-def] # nothing below the screen
        return []

    def on_mount(self) -> None:
        self.push_screen(CompareScreen(self.roots))


def ready(app: Compares) -> Callable[[], object]:
    return lambda: (
        isinstance(app.screen, CompareScreen)
        and app.screen._differences is not None
        and app.screen.query("FooterKey")
    )


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_two_runs(
    size: tuple[int, int],
    language: Language,
    quiet_home: Path,
    still_clock: None,
    snapshot: SnapshotAssertion,
) -> None:
    app = Compares(*two(quiet_home))
    async with app.run_test(size=size) as pilot:
        await wait_for(pilot, ready(app))
        assert_sound(app)
        assert frame(app) == snapshot


async def test_four_runs_differ_in_more_than_colour(
    quiet_home: Path, language: Language, snapshot: SnapshotAssertion
) -> None:
    roots = [
        make_run(quiet_home, f"run-{number}", config=SLOWER if number else CONFIG).root for number in range(4)
    ]
    (roots[3] / "config.toml").write_text("[broken")
    app = Compares(*roots)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for(pilot, ready(app))
        assert_sound(app)
        assert frame(app) == snapshot


async def test_a_digit_chooses_the_metric(quiet_home: Path) -> None:
    app = Compares(*two(quiet_home))
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for(pilot, ready(app))
        for digit, compared in enumerate(METRICS, 1):
            await pilot.press(str(digit))
            assert app.screen.query_one(ComparePlot).compared is compared


async def test_a_run_that_trains_keeps_moving(quiet_home: Path) -> None:
    first, second = two(quiet_home)
    app = Compares(first, second)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for(pilot, ready(app))
        await shows(pilot, "60/100")
        with RunDir(second).events.open("a") as file:
            file.write(json.dumps({"v": 1, "time": 1.0, **step_event(61)}) + "\n")
        await wait_for(pilot, lambda: "61/100" in frame(app))


async def test_runs_that_have_nothing_yet_are_compared_all_the_same(quiet_home: Path) -> None:
    roots = [make_run(quiet_home, name, "queued", events=False).root for name in ("one", "two")]
    app = Compares(*roots)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_for(pilot, ready(app))
        await shows(pilot, "none of these runs reports it")


def test_differing_keys_stand_with_their_value_in_each_run(tmp_path: Path) -> None:
    roots = [
        make_run(tmp_path, name, config=config).root
        for name, config in (("a", CONFIG), ("b", SLOWER), ("c", CONFIG))
    ]
    found = config_differences(roots)
    assert ("objective.beta", ("0.1", "0.2", "0.1")) in found.rows
    assert found.unreadable == []


def test_configs_of_other_places_and_names_ask_for_the_same(tmp_path: Path) -> None:
    assert config_differences([make_run(tmp_path, name).root for name in "ab"]).rows == []


def test_an_unreadable_config_is_named_and_the_others_are_compared(tmp_path: Path) -> None:
    roots = [
        make_run(tmp_path, name, config=config).root
        for name, config in (("a", CONFIG), ("b", CONFIG), ("c", SLOWER))
    ]
    (roots[0] / "config.toml").unlink()
    found = config_differences(roots)
    assert found.unreadable == ["a"]
    assert ("objective.beta", ("–", "0.1", "0.2")) in found.rows


async def test_the_table_is_scrolled_whatever_has_the_focus_and_the_footer_says_that_there_is_more(
    quiet_home: Path,
) -> None:
    app = Compares(*two(quiet_home))
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_for(pilot, ready(app))
        await wait_for(pilot, lambda: "↑↓ More" in frame(app))
        assert isinstance(app.focused, ComparePlot)
        assert "optimizer.learning_rate" not in frame(app)
        await pilot.press("down")
        await wait_for(pilot, lambda: app.screen.query_one("#table").scroll_y == 1)
        await pilot.press("pagedown")
        await wait_for(pilot, lambda: "optimizer.learning_rate" in frame(app))
        await pilot.press("pageup", "up")
        await wait_for(pilot, lambda: app.screen.query_one("#table").scroll_y == 0)


async def test_a_table_that_fits_has_no_key_to_scroll_it(quiet_home: Path) -> None:
    app = Compares(*two(quiet_home))
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_for(pilot, ready(app))
        await pilot.pause()
        assert "↑↓" not in frame(app)
