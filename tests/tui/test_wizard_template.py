"""The first step: templates with their purposes, and the settings people change most."""

import pytest
from textual.widgets import OptionList

from dpo_tui import text
from dpo_tui.text import Language, has
from dpo_tui.widgets.field import Field
from dpo_tui.wizard.template import KNOBS, purpose_of
from engine.shipped import template_names
from tests.tui.driving import frame, shows, wait_for
from tests.tui.wizard_app import WizardApp, opened, stand_still


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)


def test_every_shipped_template_says_its_purpose_in_both_languages(language: Language) -> None:
    assert [name for name in template_names() if not has(f"wizard.template.{name}")] == []


def test_a_template_the_catalogues_do_not_know_speaks_for_itself() -> None:
    assert purpose_of("new", "For [new] things.\x1b[2J") == "For [new] things.\\x1b[2J"


async def test_another_template_is_taken_by_enter_and_enter_again_goes_on(language: Language) -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        names = [option.id for option in app.screen.query_one(OptionList).options]
        assert names[0] == "quickstart"
        await pilot.press(*["down"] * names.index("lora"), "enter")
        await wait_for(pilot, lambda: app.wizard.draft.template == "lora")
        await wait_for(pilot, lambda: "[model.lora]" in frame(app))
        await shows(pilot, text.t("wizard.template.lora")[:8])
        rate = next(field for field in app.screen.query(Field) if field.key == "optimizer.learning_rate")
        await wait_for(pilot, lambda: "1e-5" in frame(app))
        assert not rate.has_class("-default")
        assert app.step.step_id == "template"
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.step.step_id == "model")


async def test_another_template_keeps_the_model_that_was_chosen() -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        app.wizard.draft.set("model.source", "hub")
        app.wizard.draft.set("model.id", "me/mine")
        await pilot.press("down", "enter")
        await wait_for(pilot, lambda: app.wizard.draft.template == "full")
        assert (app.wizard.draft.get("model.id"), app.wizard.draft.name) == ("me/mine", "full")


async def test_the_settings_people_change_most_are_there() -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        shown = [field.key for field in app.step.query(Field)]
        assert shown == [key for keys in KNOBS.values() for key in keys]
