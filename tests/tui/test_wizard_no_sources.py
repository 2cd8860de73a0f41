"""A config without data sources, or with something else in their place: they are put in, and nothing ends the app."""

from pathlib import Path

import pytest
from textual.widgets import Input

from dpo_tui.widgets.choice import Choice
from dpo_tui.widgets.field import Field
from dpo_tui.wizard.data import DataStep
from dpo_tui.wizard.draft import Draft
from engine.config.toml import TomlDocument
from tests.tui.driving import wait_for
from tests.tui.wizard_app import WizardApp, drawn, opened, stand_still

MODEL = '[model]\nsource = "builtin"\nid = "smollm2-135m-instruct"\n'
EMPTY = "[data]\nsources = []\nmax_length = 2048\n"


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)


def read(text: str) -> Draft:
    return Draft(TomlDocument.parse(text, Path("x.toml")), path=None, template=None)


def field(app: WizardApp, name: str) -> Field:
    return next(one for one in app.step.query(Field) if one.key == f"data.sources.0.{name}")


async def test_the_first_source_is_chosen_in_the_fields() -> None:
    Path("mine.toml").write_text(f"{MODEL}\n{EMPTY}")
    async with WizardApp(Path("mine.toml")).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+n", "ctrl+n")
        await wait_for(pilot, lambda: isinstance(app.step, DataStep))
        await pilot.press("f8")  # there is nothing whose columns could be chosen
        await drawn(pilot)
        assert app.screen is app.wizard
        typed = field(app, "path").query_one(Input)
        typed.focus()
        await pilot.press("a", "/", "b")
        await wait_for(pilot, lambda: app.wizard.draft.get("data.sources.0.path") == "a/b")
        field(app, "source").query_one(Choice).focus()
        while app.wizard.draft.get("data.sources.0.source") != "builtin":
            await pilot.press("left")
        await wait_for(pilot, lambda: app.wizard.draft.config() is not None)
        await wait_for(pilot, lambda: typed.value == "quickstart")


async def test_a_key_adds_the_first_source() -> None:
    Path("mine.toml").write_text(f"{MODEL}\n[data]\nsources = 3\n")
    async with WizardApp(Path("mine.toml")).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+n", "ctrl+n", "f2")
        await wait_for(pilot, lambda: app.wizard.draft.config() is not None)
        assert app.wizard.draft.get("data.sources.0.source") == "builtin"


@pytest.mark.parametrize("name", ["source", "path"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[data]\nmax_length = 2048\n",
        EMPTY,
        "[data]\nsources = 3\n",
        '[data.sources]\n0 = {path = "x"}\n',
        "[data]\nsources = [3]\n",
        "data = 3\n",
    ],
)
def test_whatever_stands_there_a_source_comes_into_a_list(text: str, name: str) -> None:
    draft = read(text)
    draft.enter(f"data.sources.0.{name}", "local")
    assert draft.values()["data"]["sources"] == [{name: "local"}]


def test_behind_an_entry_that_is_no_table_another_is_edited() -> None:
    draft = read('[data]\nsources = [3, {path = "x"}]\n')
    draft.enter("data.sources.1.path", "y")
    assert draft.values()["data"]["sources"] == [3, {"path": "y"}]


@pytest.mark.parametrize("key", ["train.pairs_per_step", "model.lora.rank", "run.name", "data.max_length"])
def test_a_value_in_the_place_of_a_table_gives_way_to_what_is_typed(key: str) -> None:
    for above in (key.split(".")[0], key.rpartition(".")[0]):
        draft = read(f"{above} = 5\n")
        draft.enter(key, "8")
        assert str(draft.get(key)) == "8"
