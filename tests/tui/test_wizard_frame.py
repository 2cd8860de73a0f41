"""The wizard as a whole: its steps, its rail, the config beside them, saving and leaving."""

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Input, OptionList

from dpo_tui.screens.help import HelpScreen
from dpo_tui.text import Language
from dpo_tui.widgets.choice import Choice
from dpo_tui.widgets.field import Field
from dpo_tui.widgets.toml_view import TomlView
from dpo_tui.wizard.asking import LeaveScreen, SaveScreen
from dpo_tui.wizard.rail import RailEntry
from dpo_tui.wizard.screen import WizardScreen
from tests.tui.driving import SIZES, assert_sound, frame, shows, wait_for
from tests.tui.wizard_app import Blank, WizardApp, drawn, opened, stand_still

ORDER = ["template", "model", "data", "launcher", "review"]


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)


def field(app: WizardApp, key: str) -> Field:
    return next(field for field in app.screen.query(Field) if field.key == key)


def type_into(app: WizardApp, key: str, text: str) -> None:
    field(app, key).query_one(Input).value = text


@pytest.mark.parametrize("size", [*SIZES, (100, 30)])
async def test_the_first_step(size: tuple[int, int], language: Language, snapshot: SnapshotAssertion) -> None:
    async with WizardApp().run_test(size=size) as pilot:
        app = await opened(pilot)
        await drawn(pilot)
        assert_sound(app)
        assert frame(app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_a_wrong_value_is_explained_below_it(
    size: tuple[int, int], language: Language, snapshot: SnapshotAssertion
) -> None:
    async with WizardApp().run_test(size=size) as pilot:
        app = await opened(pilot)
        await drawn(pilot)
        await pilot.press("tab", "tab", "9", "9", "9")
        await drawn(pilot)
        assert_sound(app)
        assert frame(app) == snapshot
        await shows(pilot, {"en": "must be at most 100", "zh": "100"}[language])


async def test_steps_are_free_to_visit_in_any_order() -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        seen = [app.step.step_id]
        for _ in range(5):
            await pilot.press("ctrl+n")
            seen.append(app.step.step_id)
        assert seen == [*ORDER, "review"]
        await pilot.press("ctrl+p", "ctrl+p")
        assert app.step.step_id == "data"
        await pilot.click(next(iter(app.screen.query(RailEntry))))
        await pilot.pause()
        assert app.step.step_id == "template"
        await pilot.press("ctrl+p")
        assert app.step.step_id == "template"


async def test_the_rail_says_what_is_wrong_in_another_step() -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        type_into(app, "train.pairs_per_step", "many")
        await pilot.press("ctrl+n")
        await wait_for(pilot, lambda: "✗ Template" in frame(app))
        await pilot.press("ctrl+p")
        type_into(app, "train.pairs_per_step", "8")
        await pilot.press("ctrl+n")
        await wait_for(pilot, lambda: "✓ Template" in frame(app))


async def test_on_a_narrow_terminal_the_rail_is_one_line() -> None:
    async with WizardApp().run_test(size=(80, 24)) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+n", "ctrl+n")
        await wait_for(pilot, lambda: "step 3 of 5 · Data" in frame(app))
        type_into(app, "data.max_length", "1")
        await pilot.press("ctrl+n")
        await wait_for(pilot, lambda: "step 4 of 5 · Launcher   ✗ Data" in frame(app))


@pytest.mark.parametrize(
    ("height", "key", "value"),
    [(40, "objective.beta", "0.25"), (24, "train.save_every", "7")],
    ids=["in sight", "out of sight"],
)
async def test_what_is_typed_is_marked_in_the_config_and_scrolled_to(
    height: int, key: str, value: str
) -> None:
    async with WizardApp().run_test(size=(120, height)) as pilot:
        app = await opened(pilot)
        assert "▎" not in frame(app)
        type_into(app, key, value)
        await wait_for(pilot, lambda: f"▎{key.split('.')[-1]} = {value}" in frame(app))


@pytest.mark.parametrize(("size", "at_first"), [((80, 24), False), ((100, 30), False), ((120, 40), True)])
async def test_a_key_shows_and_hides_the_config(size: tuple[int, int], at_first: bool) -> None:
    async with WizardApp().run_test(size=size) as pilot:
        app = await opened(pilot)
        view = app.screen.query_one(TomlView)
        assert bool(view.region) == at_first
        await pilot.press("f4")
        await wait_for(pilot, lambda: bool(view.region) != at_first)
        assert_sound(app)
        await pilot.press("f4")
        await wait_for(pilot, lambda: bool(view.region) == at_first)


async def test_a_key_leaves_a_value_to_its_default() -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        beta = field(app, "objective.beta")
        beta.focus_value()
        type_into(app, "objective.beta", "0.5")
        await pilot.pause()
        await pilot.press("ctrl+r")
        await wait_for(pilot, lambda: beta.query_one(Input).value == "0.1")
        assert not app.wizard.draft.given("objective.beta")
        assert beta.has_class("-default")


async def test_words_are_chosen_by_arrows_and_by_the_mouse() -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        loss = field(app, "objective.loss").query_one(Choice)
        loss.focus()
        await pilot.press("right")
        assert app.wizard.draft.get("objective.loss") == "ipo"
        await pilot.press("left", "left")
        assert app.wizard.draft.get("objective.loss") == "kto_pair"
        await pilot.click(loss, offset=(2, 0))
        await wait_for(pilot, lambda: app.wizard.draft.get("objective.loss") == "sigmoid")


async def test_a_fault_between_two_fields_goes_when_either_is_put_right() -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        smoothing = field(app, "objective.label_smoothing")
        type_into(app, "objective.label_smoothing", "0.1")
        field(app, "objective.loss").query_one(Choice).focus()
        await pilot.press("right")
        await wait_for(pilot, lambda: smoothing.has_class("-fault"))
        await pilot.press("left")
        await wait_for(pilot, lambda: not smoothing.has_class("-fault"))


async def test_help_explains_the_focused_field(language: Language) -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        field(app, "objective.beta").focus_value()
        await pilot.press("f1")
        await wait_for(pilot, lambda: isinstance(app.screen, HelpScreen))
        await wait_for(pilot, lambda: "objective.beta" in frame(app))


async def test_all_settings_have_every_key_and_a_filter(
    language: Language, snapshot: SnapshotAssertion
) -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        await pilot.press("f5")
        await wait_for(pilot, lambda: app.screen is not app.wizard)
        keys = {one.key for one in app.screen.query(Field)}
        sources = {"data.sources.0.columns", "data.sources.0.exclude"}
        assert {"model.trust_remote_code", "gates.min_accuracy", *sources} <= keys
        await pilot.press(*"weight_decay")
        await drawn(pilot)
        assert [one.key for one in app.screen.query(Field) if one.display] == ["optimizer.weight_decay"]
        assert_sound(app)
        assert frame(app) == snapshot
        await pilot.press("tab", "0", ".", "3", "escape")
        await wait_for(pilot, lambda: app.screen is app.wizard)
        assert app.wizard.draft.get("optimizer.weight_decay") == 0.3
        await wait_for(pilot, lambda: "weight_decay = 0.3" in frame(app))


async def test_a_filter_that_finds_nothing_says_so() -> None:
    async with WizardApp().run_test(size=(80, 24)) as pilot:
        app = await opened(pilot)
        await pilot.press("f5")
        await wait_for(pilot, lambda: app.screen is not app.wizard)
        await pilot.press(*"zzz")
        await wait_for(pilot, lambda: "No setting has that" in frame(app))


async def test_a_new_config_is_saved_where_the_person_says(language: Language) -> None:
    async with WizardApp().run_test(size=(80, 24)) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: isinstance(app.screen, SaveScreen))
        assert app.screen.query_one(Input).value == "quickstart.toml"
        app.screen.query_one(Input).value = "first.toml"
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.screen is app.wizard)
        assert Path("first.toml").read_text() == app.wizard.draft.text
        assert app.recents.recall("config") == [str(Path("first.toml").absolute())]


async def test_another_file_is_overwritten_at_the_second_enter_only() -> None:
    Path("taken.toml").write_text("# theirs\n")
    async with WizardApp().run_test(size=(80, 24)) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: isinstance(app.screen, SaveScreen))
        app.screen.query_one(Input).value = "taken.toml"
        await pilot.press("enter")
        await wait_for(pilot, lambda: "Another file is there" in frame(app))
        assert Path("taken.toml").read_text() == "# theirs\n"
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.screen is app.wizard)
        assert Path("taken.toml").read_text() == app.wizard.draft.text


async def test_a_place_that_cannot_be_written_is_told_there() -> None:
    async with WizardApp().run_test(size=(80, 24)) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: isinstance(app.screen, SaveScreen))
        app.screen.query_one(Input).value = "nowhere/[x].toml"
        await pilot.press("enter")
        await wait_for(pilot, lambda: "cannot write" in frame(app))
        assert isinstance(app.screen, SaveScreen)


async def test_an_untouched_wizard_is_left_at_once() -> None:
    async with WizardApp().run_test() as pilot:
        app = await opened(pilot)
        await pilot.press("escape")
        await wait_for(pilot, lambda: isinstance(app.screen, Blank))


@pytest.mark.parametrize(("choice", "saved", "left"), [(0, True, True), (1, False, True), (2, False, False)])
async def test_leaving_asks_about_what_is_not_saved(choice: int, saved: bool, left: bool) -> None:
    async with WizardApp().run_test() as pilot:
        app = await opened(pilot)
        type_into(app, "objective.beta", "0.5")
        await pilot.pause()
        await pilot.press("escape")
        await wait_for(pilot, lambda: isinstance(app.screen, LeaveScreen))
        app.screen.query_one(OptionList).highlighted = choice
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(app.screen, Blank if left else WizardScreen))
        assert Path("quickstart.toml").exists() == saved


async def test_the_preview_ends_with_the_wizard() -> None:
    async with WizardApp().run_test() as pilot:
        app = await opened(pilot)
        preview = app.wizard.preview
        await pilot.press("ctrl+n")
        await wait_for(pilot, lambda: preview._process is not None)
        process = preview._process
        assert process is not None
        await pilot.press("escape")
        await wait_for(pilot, lambda: process.returncode is not None)
