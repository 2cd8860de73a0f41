"""The wizard's sources of pairs: their kinds and names, and columns by hand."""

from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot
from textual.widgets import Button, Input, Select

from dpo_tui.text import Language, t
from dpo_tui.widgets.choice import Choice
from dpo_tui.widgets.field import Field
from dpo_tui.widgets.path_picker import PathPicker
from dpo_tui.widgets.picker import Picker
from dpo_tui.wizard import data_look
from dpo_tui.wizard.columns import ColumnsScreen, Mapped, mapped
from dpo_tui.wizard.origins import KNOWN, KNOWN_SCOPE
from tests.tui.driving import SIZES, assert_sound, frame, shows, wait_for
from tests.tui.wizard_data import LOCAL, UNKNOWN, at_data, refused, sources, told
from tests.tui.wizard_preview import COLUMNS, PlayedPreview, report


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_look, "PAUSE", 0.0)


async def to_columns(pilot: Pilot[Any]) -> None:
    """Ask for the columns, by key."""
    await pilot.press("f8")
    await wait_for(pilot, lambda: pilot.app.screen.query(Select))


@pytest.mark.parametrize("size", SIZES)
async def test_columns_to_choose(
    language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    preview = PlayedPreview(data=refused(UNKNOWN), columns=COLUMNS)
    async with at_data(preview, LOCAL, size) as (pilot, step):
        await wait_for(pilot, lambda: step.query_one("#map", Button).display)
        await to_columns(pilot)
        assert_sound(pilot.app)
        assert frame(pilot.app) == snapshot


async def test_columns_that_no_name_tells_are_asked_for_at_once(language: Language) -> None:
    unsure = {**COLUMNS, "suggested": {"prompt": "q", "chosen": None, "rejected": None}}
    async with at_data(PlayedPreview(data=refused(UNKNOWN), columns=unsure), LOCAL) as (pilot, step):
        await wait_for(pilot, lambda: step.query_one("#map", Button).display)
        await to_columns(pilot)
        assert pilot.app.screen.query_one("#chosen", Select).value == ""
        await wait_for(pilot, lambda: t("columns.incomplete") in frame(pilot.app))


async def test_the_columns_chosen_are_written_into_the_config() -> None:
    preview = PlayedPreview(data=refused(UNKNOWN), columns=COLUMNS)
    async with at_data(preview, LOCAL) as (pilot, step):
        await wait_for(pilot, lambda: step.query_one("#map", Button).display)
        step.query_one("#map", Button).press()
        await wait_for(pilot, lambda: pilot.app.screen.query(Select))
        preview.answers["data"] = report()
        pilot.app.screen.query_one("#prompt", Select).value = "q"
        pilot.app.screen.query_one("#use", Button).press()
        await wait_for(pilot, lambda: "437" in told(step))
        assert sources(step)[0]["columns"] == {"prompt": "q", "chosen": "better", "rejected": "worse"}
        assert preview.questions("columns") == [{"source": {"source": "local", "path": "odd.jsonl"}}]
        assert not step.query_one("#map", Button).display


EXCLUDING = f'{LOCAL}exclude = {{ source = ["toxic", 1, true] }}     # not these\n'


async def test_what_is_left_out_stays_as_it_was_written_and_can_be_typed() -> None:
    async with at_data(PlayedPreview(data=report()), EXCLUDING, until="437") as (pilot, step):
        (field,) = [one for one in step.query(Field) if one.key == "data.sources.0.exclude"]
        assert field.query_one(Input).value == 'source = ["toxic", 1, true]'
        step.draft.set("data.max_length", 3000)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: not step.draft.changed)
        assert EXCLUDING.splitlines()[-1] in Path("own.toml").read_text().splitlines()
        field.query_one(Input).value = 'source = ["web"], ok = [false]'
        await wait_for(pilot, lambda: sources(step)[0]["exclude"] == {"source": ["web"], "ok": [False]})
        assert not step.draft.faults()


async def test_the_mouse_presses_what_moves_away_from_it() -> None:
    """The help of the field that loses the focus is gone before the mouse is up again."""
    preview = PlayedPreview(data=refused(UNKNOWN), columns=COLUMNS)
    async with at_data(preview, LOCAL) as (pilot, step):
        button = step.query_one("#map", Button)
        await wait_for(pilot, lambda: button.region.height)
        above = button.region.offset
        await pilot.mouse_down(button)
        await wait_for(pilot, lambda: pilot.app.screen.query(Select))
        await pilot.mouse_up(offset=above)
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, ColumnsScreen)
        assert len(preview.questions("columns")) == 1


async def test_a_format_by_name_stands_for_the_columns() -> None:
    own = LOCAL + 'columns = { chosen = "a", rejected = "b" }\n'
    async with at_data(PlayedPreview(columns=COLUMNS), own) as (pilot, step):
        await to_columns(pilot)
        pilot.app.screen.query_one("#format", Select).value = "alpaca-ranking"
        pilot.app.screen.query_one("#use", Button).press()
        await wait_for(pilot, lambda: not isinstance(pilot.app.screen, ColumnsScreen))
        assert sources(step) == [{"source": "local", "path": "odd.jsonl", "format": "alpaca-ranking"}]


async def test_columns_that_make_no_pair_are_not_taken() -> None:
    preview = PlayedPreview(data=refused(UNKNOWN), columns=COLUMNS)
    async with at_data(preview, LOCAL) as (pilot, _):
        await to_columns(pilot)
        pilot.app.screen.query_one("#rejected", Select).value = "better"
        await wait_for(pilot, lambda: "a column of their own" in frame(pilot.app))
        pilot.app.screen.query_one("#use", Button).press()
        await pilot.pause()
        assert isinstance(pilot.app.screen, ColumnsScreen)


@pytest.mark.parametrize(
    ("chosen", "layout", "meant"),
    [
        (
            {"prompt": "q", "chosen": "a", "rejected": "b"},
            "",
            Mapped({"prompt": "q", "chosen": "a", "rejected": "b"}),
        ),
        ({"chosen": "a", "rejected": "b"}, "", Mapped({"chosen": "a", "rejected": "b"})),
        ({"chosen": "a"}, "trl-explicit", Mapped(format="trl-explicit")),
        ({"chosen": "", "prompt": ""}, "", Mapped()),
        ({"chosen": "a"}, "", None),
        ({"chosen": "a", "rejected": "a"}, "", None),
    ],
)
def test_what_a_choice_of_columns_means(chosen: dict[str, str], layout: str, meant: Mapped | None) -> None:
    assert mapped(chosen, layout) == meant


async def test_another_kind_of_source_has_a_name_that_is_valid_there(quiet_home: Path) -> None:
    (quiet_home / "mine.jsonl").write_text("{}")
    async with at_data(PlayedPreview(data=report())) as (pilot, step):
        await pilot.press("left")
        assert sources(step) == [{"source": "local", "path": "mine.jsonl"}]
        await pilot.press("left")
        assert sources(step) == [{"source": "modelscope", "path": KNOWN_SCOPE["data"]}]
        assert not step.problems()
        await wait_for(pilot, lambda: "There is no search here" in frame(pilot.app))
        await shows(pilot, "Split")
        assert not step.query_one(".of-stream").display
        step.draft.set("data.sources.0.split", "test")
        await pilot.press("left")
        assert sources(step) == [{"source": "hub", "path": KNOWN["data"]}]
        assert not step.problems()
        await wait_for(pilot, lambda: "There is no search here" not in frame(pilot.app))
        assert step.query_one(".of-stream").display
        step.draft.set("data.sources.0.split", "test")
        await pilot.press("left")
        assert sources(step) == [{"source": "builtin", "path": "quickstart"}]
        assert not step.problems()


async def test_enter_on_the_name_opens_the_list_of_datasets_or_the_tree(quiet_home: Path) -> None:
    (quiet_home / "mine.jsonl").write_text("{}")
    async with at_data(PlayedPreview(data=report()), LOCAL) as (pilot, step):
        step.query_one(".of-path Input", Input).focus()
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, PathPicker))
        field = pilot.app.screen.query_one(Input)
        field.value = "mine.jsonl"
        await pilot.press("enter")
        await wait_for(pilot, lambda: sources(step)[0]["path"] == "mine.jsonl")
        step.set("data.sources.0.source", "hub")
        step.refresh_from_draft()
        step.query_one(".of-path Input", Input).focus()
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(pilot.app.screen, Picker))


async def test_sources_are_added_and_removed(language: Language) -> None:
    async with at_data(PlayedPreview(data=report()), LOCAL) as (pilot, step):
        await pilot.press("f2")
        await wait_for(pilot, lambda: "2 quickstart" in frame(pilot.app))
        assert [source["path"] for source in sources(step)] == ["odd.jsonl", "quickstart"]
        assert step.summary() == "odd.jsonl + 1"
        assert step.at == 1
        step.query("SourceBar Choice").first().focus()
        await pilot.press("left")
        assert step.at == 0
        assert step.query_one(".of-path Input", Input).value == "odd.jsonl"
        await pilot.press("f3")
        await wait_for(pilot, lambda: len(sources(step)) == 1)
        assert sources(step)[0]["path"] == "quickstart"
        await pilot.press("f3")
        assert len(sources(step)) == 1


async def test_the_mouse_chooses_a_word_that_moves_away_from_it() -> None:
    async with at_data(PlayedPreview(data=report()), LOCAL, until="437") as (pilot, step):
        words = next(one for one in step.query(Choice) if one.value == "truncate")
        before = words.region
        await pilot.mouse_down(words, offset=(len("● cut  ○"), 0))
        await wait_for(pilot, lambda: words.region.y != before.y)
        await pilot.mouse_up(offset=before.offset)
        assert step.draft.get("data.too_long") == "drop"


async def test_what_was_read_is_remembered() -> None:
    async with at_data(PlayedPreview(data=report()), LOCAL, until="437") as (_, step):
        assert step.recents.recall("data") == [["local", "odd.jsonl"]]
