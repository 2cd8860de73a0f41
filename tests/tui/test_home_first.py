"""The list of runs where there is none yet: everything that can be done is seen, and can be gone to."""

from pathlib import Path

import pytest
from textual.pilot import Pilot

from dpo_tui.screens.help import HelpScreen
from dpo_tui.screens.home import HomeScreen
from dpo_tui.screens.jump import JumpScreen
from dpo_tui.text import Language
from dpo_tui.widgets.confirm import Ask
from dpo_tui.widgets.first_ways import Way
from dpo_tui.widgets.run_table import RunTable
from tests.tui.driving import assert_sound, frame, wait_for
from tests.tui.fake_runs import make_run
from tests.tui.home_app import Home


async def empty(pilot: Pilot[int]) -> Home:
    """Wait until it is known that there is no run."""
    app = pilot.app
    assert isinstance(app, Home)
    await wait_for(pilot, lambda: app.screen.has_class("-empty") and isinstance(app.focused, Way))
    return app


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40)])
async def test_without_a_run_the_footer_has_every_key_that_does_something(
    runs_dir: Path, size: tuple[int, int], language: Language
) -> None:
    async with Home(runs_dir).run_test(size=size) as pilot:
        app = await empty(pilot)
        await pilot.pause()
        assert_sound(app)
        footer = frame(app).splitlines()[-1]
        words = {"en": ("n New run", "o Open config", "? Help", "^q Quit")}
        assert all(word in footer for word in words.get(language, ("n ", "o ", "? ", "^q ")))


async def test_jump_mode_puts_letters_on_what_can_be_done_without_a_run(runs_dir: Path) -> None:
    async with Home(runs_dir).run_test(size=(100, 30)) as pilot:
        app = await empty(pilot)
        await pilot.press("ctrl+o")
        await wait_for(pilot, lambda: isinstance(app.screen, JumpScreen))
        assert len(app.screen.query(".label")) == 3
        await pilot.press("s", "enter")
        await wait_for(pilot, lambda: isinstance(app.screen, Ask))


async def test_the_ways_are_taken_by_enter_and_by_a_click(runs_dir: Path) -> None:
    async with Home(runs_dir).run_test(size=(100, 30)) as pilot:
        app = await empty(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.opened == [("wizard", None)])
        await pilot.press("down", "down", "enter")
        await wait_for(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("escape")
        await wait_for(pilot, lambda: isinstance(app.screen, HomeScreen))
        await pilot.click(app.screen.query(Way)[1])
        await wait_for(pilot, lambda: isinstance(app.screen, Ask))


async def test_the_first_run_that_appears_has_the_cursor(runs_dir: Path) -> None:
    async with Home(runs_dir).run_test(size=(100, 30)) as pilot:
        app = await empty(pilot)
        make_run(runs_dir)
        await wait_for(pilot, lambda: isinstance(app.focused, RunTable))
        assert "o Open config" not in frame(app)
