"""Paths that a person may type, or a folder may hold: no name is too long or too strange to be answered."""

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from dpo_tui.text import t
from dpo_tui.widgets.path_picker import FittingTree, PathPicker
from dpo_tui.wizard import origins
from dpo_tui.wizard.asking import SaveScreen
from tests.tui.driving import frame, wait_for
from tests.tui.wizard_app import Blank, WizardApp, opened, stand_still

LONG = "x" * 300
STEERING = "a\x1b]0;title\x07\u202e[red].jsonl"


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)


class Below(WizardApp):
    """Nothing but the page below the wizard."""

    def open_wizard(self, config: Path | None = None) -> None:
        """None."""


@pytest.mark.parametrize("typed", [LONG, f"/{LONG}/{LONG}", "~nobody-at-all/pairs.jsonl", "/root\x00/x"])
async def test_a_path_that_cannot_be_opens_the_tree_at_a_folder_there_is(typed: str) -> None:
    async with Below().run_test(size=(120, 40)) as pilot:
        await pilot.app.push_screen(PathPicker("data", typed=typed))
        await told(pilot, t("path.missing"))
        assert Path(pilot.app.screen.query_one(FittingTree).path).is_dir()
        await pilot.press("tab", "enter", "escape")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Blank))


async def test_a_file_s_name_is_only_a_name(quiet_home: Path) -> None:
    (quiet_home / STEERING).touch()
    async with Below().run_test(size=(120, 40)) as pilot:
        await pilot.app.push_screen(PathPicker("data"))
        await wait_for(pilot, lambda: "a\\x1b]0;title\\x07\\u202e[red].jsonl" in frame(pilot.app))
        field = pilot.app.screen.query_one(Input)
        field.value = "./a"
        await pilot.pause()
        await pilot.press("tab")
        await wait_for(pilot, lambda: field.value == f"./{STEERING}")
        await told(pilot, "./a␛]0;title␇␦[red].jsonl")
        assert "\x1b" not in frame(pilot.app)


@pytest.mark.parametrize("kind", ["model", "data"])
def test_what_was_used_once_and_cannot_be_looked_at_is_passed_over(kind: origins.Kind) -> None:
    entries = [["local", LONG], ["local", "~nobody-at-all/x"], ["local", "/\x00"]]
    assert origins.first_choice(kind, "local", entries) == {"model": "./model", "data": "./pairs.jsonl"}[kind]


def test_a_link_to_a_name_that_is_too_long_hides_nothing_beside_it(quiet_home: Path) -> None:
    (quiet_home / "a").symlink_to(LONG)
    (quiet_home / "b.jsonl").touch()
    assert origins.first_choice("data", "local", ()) == "b.jsonl"


async def test_a_name_too_long_for_a_file_is_said_where_it_is_typed() -> None:
    async with WizardApp().run_test(size=(80, 24)) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: isinstance(app.screen, SaveScreen))
        app.screen.query_one(Input).value = f"{LONG}.toml"
        await pilot.press("enter")
        await told(pilot, "cannot write")


async def told(pilot: Pilot[int], text: str) -> None:
    await wait_for(pilot, lambda: text in frame(pilot.app))
