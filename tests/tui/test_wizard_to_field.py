"""From what is wrong to the field that puts it right, and what the rail and a save say meanwhile."""

from pathlib import Path

import pytest
from textual.widgets import Button, Input

from dpo_tui.text import Language
from dpo_tui.widgets.field import Field
from dpo_tui.wizard.all_settings import AllSettings
from dpo_tui.wizard.verdicts import Verdicts
from tests.tui.driving import SIZES, assert_sound, frame, shows, wait_for
from tests.tui.wizard_app import CONFIG, WizardApp, at_review, drawn, opened, stand_still


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)


def at_field(app: WizardApp) -> str | None:
    """The key of the field that has the focus."""
    focused = app.focused
    fields = [node for node in focused.ancestors if isinstance(node, Field)] if focused else []
    return fields[0].key if fields else None


async def with_faults(*lines: str) -> WizardApp:
    """The app with a config that has these lines in its last table, [train]."""
    Path("mine.toml").write_text(CONFIG.replace("epochs = 2", "\n".join(lines)))
    return WizardApp(Path("mine.toml"))


@pytest.mark.parametrize("size", SIZES)
async def test_enter_on_a_fault_leads_to_its_field(size: tuple[int, int], language: Language) -> None:
    app = await with_faults("epochs = -1")
    async with app.run_test(size=size) as pilot:
        await at_review(pilot)
        assert app.focused is app.screen.query_one(Verdicts)
        assert_sound(app)
        await pilot.press("enter")
        await wait_for(pilot, lambda: at_field(app) == "train.epochs")
        assert app.step.step_id == "template"


async def test_a_click_on_a_fault_leads_to_the_field_of_a_further_source() -> None:
    app = await with_faults(
        "epochs = 2", "", "[[data.sources]]", 'source = "local"', "limit = 0", 'path = "b"'
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await at_review(pilot)
        await pilot.click(Verdicts, offset=(5, 0))
        await wait_for(pilot, lambda: at_field(app) == "data.sources.1.limit")


async def test_a_fault_of_a_key_that_no_step_shows_leads_to_all_settings() -> None:
    app = await with_faults("keep = 0")
    async with app.run_test(size=(120, 40)) as pilot:
        await at_review(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(app.screen, AllSettings) and at_field(app) == "train.keep")


async def test_an_unknown_key_is_said_to_be_in_the_file_alone(language: Language) -> None:
    app = await with_faults("epohcs = 2")
    async with app.run_test(size=(120, 40)) as pilot:
        await at_review(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: any("train.epohcs" in one.message for one in app._notifications))
        assert app.step.step_id == "template"


async def test_enter_on_a_directory_that_takes_no_file_leads_to_its_field() -> None:
    app = WizardApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        app.wizard.draft.set("run.dir", "/proc/runs")
        await at_review(pilot)
        await shows(pilot, "/proc/runs: cannot write")
        assert app.screen.query_one("#start", Button).disabled
        await pilot.press("enter")
        await wait_for(pilot, lambda: at_field(app) == "run.dir")
        assert isinstance(app.focused, Input)


async def test_the_review_is_not_done_while_another_step_has_a_fault() -> None:
    app = await with_faults("epochs = -1")
    async with app.run_test(size=(120, 40)) as pilot:
        await at_review(pilot)
        await pilot.press("ctrl+p")
        await drawn(pilot)
        await shows(pilot, "✗ Template")
        assert "✓ Review" not in frame(app)


async def test_the_review_is_done_once_all_is_right() -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app, _ = await at_review(pilot)
        await pilot.press("ctrl+p")
        await wait_for(pilot, lambda: "✓ Review" in frame(app))


async def test_saving_a_config_with_faults_says_how_many_are_left(language: Language) -> None:
    app = await with_faults("epochs = -1", "keep = 0")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: app._notifications)
        told = next(iter(app._notifications))
        assert "mine.toml" in told.message
        assert "2" in told.message
        assert told.severity == "warning"
