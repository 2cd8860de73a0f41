"""The last step: what was chosen, whether it can start, and what to do if not."""

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Button

from dpo_tui.text import Language
from tests.tui.driving import SIZES, assert_sound, frame, wait_for
from tests.tui.wizard_app import CONFIG, WizardApp, at_review, drawn, stand_still


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)


@pytest.mark.parametrize("size", SIZES)
async def test_nothing_is_in_the_way(
    size: tuple[int, int], language: Language, snapshot: SnapshotAssertion
) -> None:
    async with WizardApp().run_test(size=size) as pilot:
        app, _ = await at_review(pilot)
        assert_sound(app)
        assert app.focused is app.screen.query_one("#start", Button)
        assert app.screen.region.contains_region(app.focused.region)
        assert frame(app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_lost_files_and_a_taken_name_keep_from_starting(
    size: tuple[int, int], language: Language
) -> None:
    Path("mine.toml").write_text(CONFIG)
    Path("runs/mine").mkdir(parents=True)
    Path("runs/mine/config.toml").touch()
    async with WizardApp(Path("mine.toml")).run_test(size=size) as pilot:
        app, step = await at_review(pilot)
        assert step.problems() == ["name", "input", "input"]
        assert app.screen.query_one("#start", Button).disabled
        assert_sound(app)
        assert frame(app).count("✗") >= 2


async def test_a_config_with_faults_names_them_and_cannot_start(language: Language) -> None:
    Path("mine.toml").write_text(CONFIG.replace("epochs = 2", "epohcs = 2\nkeep = 0"))
    async with WizardApp(Path("mine.toml")).run_test(size=(120, 40)) as pilot:
        app, step = await at_review(pilot)
        shown = frame(app)
        assert "train.epohcs" in shown
        assert "train.keep" in shown
        assert app.screen.query_one("#start", Button).disabled
        assert not step.looking


async def test_a_key_applies_the_fix_and_start_is_free() -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app, step = await at_review(pilot)
        Path("runs/quickstart").mkdir(parents=True)
        Path("runs/quickstart/config.toml").touch()
        await pilot.press("ctrl+p", "ctrl+n")
        await wait_for(pilot, lambda: step.problems() == ["name"])
        await wait_for(pilot, lambda: "f: set" in frame(app) and "f Fix" in frame(app))
        await pilot.press("f")
        await wait_for(pilot, lambda: step.problems() == [] and not step.looking)
        assert app.wizard.draft.get("run.name") == "quickstart-2"
        start = app.screen.query_one("#start", Button)
        await wait_for(pilot, lambda: not start.disabled and app.focused is start)


async def test_a_doubtful_check_does_not_keep_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app, _ = await at_review(pilot)
        app.wizard.draft.set("export.push", "me/mine")
        await pilot.press("ctrl+p", "ctrl+n")
        await wait_for(pilot, lambda: "⚠" in frame(app))
        assert not app.screen.query_one("#start", Button).disabled


async def test_the_command_can_be_copied(language: Language) -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app, _ = await at_review(pilot)
        await pilot.press("y")
        await drawn(pilot)
        assert app.clipboard == "dpo-tui --headless quickstart.toml"
        assert "$ dpo-tui --headless quickstart.toml" in frame(app)


async def test_a_fix_is_offered_only_where_there_is_one() -> None:
    async with WizardApp().run_test(size=(80, 24)) as pilot:
        app, _ = await at_review(pilot)
        assert "f Fix" not in frame(app)
