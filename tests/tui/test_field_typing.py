"""Typing into a field of the wizard: every key in its place however fast, and an emptied field stays empty."""

from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.events import Key
from textual.widgets import Button, Input

from dpo_tui.widgets.field import Field
from dpo_tui.wizard.draft import Draft
from tests.tui.driving import wait_for

CONFIG = """\
[model]
id = "a/b"

[data]
max_length = 512  # tokens of both
max_prompt_length = 256

[[data.sources]]
path = "c/d"
"""


class Fields(App[None]):
    """Two fields, and something else to go to; as a step does, it draws all fields anew with each change."""

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft

    def compose(self) -> ComposeResult:
        yield Field("data.max_length", self.draft)
        yield Field("data.sources.0.path", self.draft)
        yield Button("elsewhere")

    def on_field_changed(self) -> None:
        for field in self.query(Field):
            field.refresh_from_draft()


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    """A config whose key has a comment."""
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    return Draft.from_file(path)


async def test_keys_that_come_all_at_once_stand_in_their_order(draft: Draft) -> None:
    async with Fields(draft).run_test() as pilot:
        field = pilot.app.query(Input).last()
        field.focus()
        await pilot.pause()
        for letter in "abcdefghijklmnopqrstuvwxyz0123456789":
            pilot.app.post_message(Key(letter, letter))
        await wait_for(
            pilot, lambda: draft.get("data.sources.0.path") == "abcdefghijklmnopqrstuvwxyz0123456789"
        )
        assert field.value == draft.get("data.sources.0.path")


async def test_news_of_a_key_that_come_after_the_next_one_take_nothing_back(draft: Draft) -> None:
    async with Fields(draft).run_test() as pilot:
        field = pilot.app.query(Input).last()
        field.focus()
        await pilot.pause()
        with field.prevent(Input.Changed):
            field.value = "abcd"
            field.cursor_position = 4
        pilot.app.query(Field).last().refresh_from_draft()
        field.post_message(Input.Changed(field, "abc"))
        await wait_for(pilot, lambda: draft.get("data.sources.0.path") == "abcd")
        assert (field.value, field.cursor_position) == ("abcd", 4)


async def test_a_value_erased_and_typed_anew_is_what_was_typed_and_keeps_its_comment(draft: Draft) -> None:
    async with Fields(draft).run_test() as pilot:
        field = pilot.app.query(Input).first()
        field.focus()
        await pilot.press("end", "ctrl+u")
        assert field.value == ""
        assert field.placeholder == "1024"
        assert not draft.given("data.max_length")
        await pilot.press("1", "2", "8")
        assert field.value == "128"
        assert draft.text == CONFIG.replace("512", "128")


async def test_the_default_typed_into_an_emptied_field_is_written_down(draft: Draft) -> None:
    async with Fields(draft).run_test() as pilot:
        pilot.app.query(Input).first().focus()
        await pilot.press("end", "ctrl+u", "1", "0", "2", "4")
        assert draft.text == CONFIG.replace("512", "1024")


async def test_an_emptied_field_that_is_left_shows_the_default(draft: Draft) -> None:
    async with Fields(draft).run_test() as pilot:
        field = pilot.app.query(Input).first()
        field.focus()
        await pilot.press("end", "ctrl+u")
        pilot.app.query_one(Button).focus()
        await wait_for(pilot, lambda: field.value == "1024")
        assert not draft.given("data.max_length")


async def test_what_is_chosen_elsewhere_is_shown_in_the_focused_field(draft: Draft) -> None:
    async with Fields(draft).run_test() as pilot:
        field = pilot.app.query(Input).last()
        field.focus()
        await pilot.pause()
        draft.set("data.sources.0.path", "chosen/in-a-list")
        pilot.app.query(Field).last().refresh_from_draft()
        assert field.value == "chosen/in-a-list"


class PackField(App[None]):
    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft

    def compose(self) -> ComposeResult:
        yield Field("train.tokens_per_pack", self.draft)


async def test_a_number_has_its_unit_and_a_word_none(draft: Draft) -> None:
    async with PackField(draft).run_test() as pilot:
        field, unit = pilot.app.query_one(Input), pilot.app.query_one(".unit")
        field.focus()
        assert not unit.display
        await pilot.press("end", "ctrl+u", *"4096")
        await wait_for(pilot, lambda: draft.get("train.tokens_per_pack") == 4096)
        assert unit.display
        await pilot.press("ctrl+u", *"auto")
        await wait_for(pilot, lambda: draft.get("train.tokens_per_pack") == "auto")
        assert not unit.display
        assert draft.faults() == {}
        await pilot.press("ctrl+r")
        assert not draft.given("train.tokens_per_pack")
        assert field.value == "auto"
