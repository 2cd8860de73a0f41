"""The wizard's third step: the sources of pairs, what became of their rows, and columns by hand."""

import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot
from textual.widgets import Button, Input, Select, Static

from dpo_tui.preview import PreviewClient, PreviewError
from dpo_tui.text import Language
from dpo_tui.widgets.choice import Choice
from dpo_tui.widgets.histogram import blocks
from dpo_tui.widgets.pair_view import PairView
from dpo_tui.widgets.path_picker import PathPicker
from dpo_tui.widgets.picker import Picker
from dpo_tui.wizard import data_look
from dpo_tui.wizard.columns import ColumnsScreen, Mapped, mapped
from dpo_tui.wizard.data import DataStep
from dpo_tui.wizard.data_look import DataLook
from dpo_tui.wizard.origins import KNOWN
from engine.data.formats.detect import detect
from engine.exits import EngineError
from tests.tui.driving import SIZES, assert_sound, frame, wait_for
from tests.tui.wizard_app import opened
from tests.tui.wizard_preview import COLUMNS, PlayedPreview, PreviewedApp, pair, report, tally

LOCAL = """\
[model]
source = "builtin"
id = "smollm2-135m-instruct"
[[data.sources]]
source = "local"
path = "odd.jsonl"
"""
TEXT_FOR_CHAT = {
    "code": "data.text_for_chat_model",
    "text": "300 pairs are plain text, and are trained as it stands, without the model's chat template.",
    "params": {"count": 300, "total": 300},
}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_look, "PAUSE", 0.0)


@asynccontextmanager
async def at_data(
    preview: PreviewClient, config: str | None = None, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[Pilot[Any], DataStep]]:
    """The wizard at its third step."""
    path = Path("own.toml") if config is not None else None
    if path is not None:
        path.write_text(config or "")
    async with PreviewedApp(preview, path).run_test(size=size) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+n", "ctrl+n")
        step = app.step
        assert isinstance(step, DataStep)
        yield pilot, step


def told(step: DataStep) -> str:
    return str(step.query_one("#report", Static).content)


def sources(step: DataStep) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(step.draft.text)["data"]["sources"]
    return found


def refused(rows: list[dict[str, Any]], place: str = "odd.jsonl") -> PreviewError:
    """What the engine says of rows whose layout it cannot tell."""
    with pytest.raises(EngineError) as caught:
        detect(rows, place)
    return PreviewError(caught.value.code, caught.value.text, caught.value.params)


UNKNOWN = [{"q": "What is iced tea?", "better": "Tea, cold.", "worse": "A car."}]


@pytest.mark.parametrize("size", SIZES)
async def test_the_builtin_pairs(
    language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    async with at_data(PlayedPreview(data=report()), size=size) as (pilot, step):
        await wait_for(pilot, lambda: "437" in told(step))
        assert_sound(pilot.app)
        assert frame(pilot.app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_data_that_is_being_read(
    language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    preview = PlayedPreview()
    preview.progress = (1_280, 5_000)
    async with at_data(preview, size=size) as (pilot, step):
        await wait_for(pilot, lambda: "1,280" in told(step))
        assert_sound(pilot.app)
        assert frame(pilot.app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_rows_that_are_dropped_and_cut(
    language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    changed = report(
        rows=5_000,
        kept=4_981,
        partial=True,
        dropped={"equal": tally(7, "odd.jsonl:3", "odd.jsonl:19"), "too_long": tally(12, "odd.jsonl:5")},
        cut={"chosen": tally(1_204, "odd.jsonl:8")},
        duplicates=tally(2, "odd.jsonl:9", "odd.jsonl:10"),
        warnings=[TEXT_FOR_CHAT],
    )
    async with at_data(PlayedPreview(data=changed), LOCAL, size) as (pilot, step):
        await wait_for(pilot, lambda: "4,981" in told(step))
        assert "odd.jsonl:3" not in frame(pilot.app)
        await pilot.press("f7")
        await wait_for(pilot, lambda: "odd.jsonl:3" in told(step))
        assert_sound(pilot.app)
        assert frame(pilot.app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_an_unknown_layout(
    language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    async with at_data(PlayedPreview(data=refused(UNKNOWN)), LOCAL, size) as (pilot, step):
        await wait_for(pilot, lambda: "✗" in told(step))
        assert_sound(pilot.app)
        assert frame(pilot.app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_columns_to_choose(
    language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    preview = PlayedPreview(data=refused(UNKNOWN), columns=COLUMNS)
    async with at_data(preview, LOCAL, size) as (pilot, step):
        await wait_for(pilot, lambda: step.query_one("#map", Button).display)
        await pilot.press("f8")
        await wait_for(pilot, lambda: pilot.app.screen.query(Select))
        assert_sound(pilot.app)
        assert frame(pilot.app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_a_broken_row(language: Language, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    text = "/data/odd.jsonl:2: not valid JSON: Expecting property name (column 2). Expected one JSON object a line."
    params = {"where": "/data/odd.jsonl:2", "problem": "not valid JSON: Expecting property name (column 2)"}
    preview = PlayedPreview(data=PreviewError("data.unreadable", text, params))
    async with at_data(preview, LOCAL, size) as (pilot, step):
        await wait_for(pilot, lambda: "odd.jsonl:2" in told(step))
        assert not step.query_one("#map", Button).display
        assert frame(pilot.app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_a_preview_that_died(
    language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    text = "The process that reads models and data died: it was killed, perhaps for want of memory."
    preview = PlayedPreview(data=PreviewError("preview.died", text, {"status": -9}))
    async with at_data(preview, size=size) as (pilot, step):
        await wait_for(pilot, lambda: "✗" in told(step))
        assert frame(pilot.app) == snapshot


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


async def test_the_mouse_chooses_a_word_that_moves_away_from_it() -> None:
    async with at_data(PlayedPreview(data=report()), LOCAL) as (pilot, step):
        await wait_for(pilot, lambda: "437" in told(step))
        words = next(one for one in step.query(Choice) if one.value == "truncate")
        before = words.region
        await pilot.mouse_down(words, offset=(before.width - 20, 0))
        await wait_for(pilot, lambda: words.region.y != before.y)
        await pilot.mouse_up(offset=before.offset)
        assert step.draft.get("data.too_long") == "drop"


async def test_a_format_by_name_stands_for_the_columns() -> None:
    own = LOCAL + 'columns = { chosen = "a", rejected = "b" }\n'
    async with at_data(PlayedPreview(columns=COLUMNS), own) as (pilot, step):
        await pilot.press("f8")
        await wait_for(pilot, lambda: pilot.app.screen.query(Select))
        pilot.app.screen.query_one("#format", Select).value = "alpaca-ranking"
        pilot.app.screen.query_one("#use", Button).press()
        await wait_for(pilot, lambda: not isinstance(pilot.app.screen, ColumnsScreen))
        assert sources(step) == [{"source": "local", "path": "odd.jsonl", "format": "alpaca-ranking"}]


async def test_columns_that_make_no_pair_are_not_taken() -> None:
    preview = PlayedPreview(data=refused(UNKNOWN), columns=COLUMNS)
    async with at_data(preview, LOCAL) as (pilot, _):
        await pilot.press("f8")
        await wait_for(pilot, lambda: pilot.app.screen.query(Select))
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


async def test_plain_text_for_a_chat_model_becomes_chat_on_a_key() -> None:
    preview = PlayedPreview(data=report(warnings=[TEXT_FOR_CHAT]))
    async with at_data(preview, LOCAL) as (pilot, step):
        await wait_for(pilot, lambda: step.query_one("#as-chat", Button).display)
        preview.answers["data"] = report()
        await pilot.press("f10")
        await wait_for(pilot, lambda: not step.query_one("#as-chat", Button).display)
        assert sources(step)[0]["format"] == "prompt-pairs"


async def test_pairs_are_browsed_and_the_later_ones_asked_for() -> None:
    preview = PlayedPreview(data=report(), pair=lambda asked: pair(asked["index"]))
    async with at_data(preview) as (pilot, step):
        view = step.query_one(PairView)
        await wait_for(pilot, lambda: view.display)
        view.focus()
        await pilot.press("left", "right", "right")
        await wait_for(pilot, lambda: "number 3?" in frame(pilot.app))
        assert not preview.questions("pair")
        await pilot.press("end")
        await wait_for(pilot, lambda: "number 460?" in frame(pilot.app))
        await pilot.press("right", "left")
        await wait_for(pilot, lambda: "number 459?" in frame(pilot.app))
        assert [asked["index"] for asked in preview.questions("pair")] == [459, 458]


async def test_pairs_are_browsed_with_the_mouse() -> None:
    async with at_data(PlayedPreview(data=report()), size=(120, 60)) as (pilot, step):
        view = step.query_one(PairView)
        await wait_for(pilot, lambda: "number 1?" in frame(pilot.app))
        await pilot.click(PairView, offset=(view.size.width - 3, 0))
        await wait_for(pilot, lambda: "number 2?" in frame(pilot.app))
        await pilot.click(PairView, offset=(3, 0))
        await wait_for(pilot, lambda: "number 1?" in frame(pilot.app))


async def test_the_data_is_read_again_after_a_change_and_only_then() -> None:
    preview = PlayedPreview(data=report())
    async with at_data(preview) as (pilot, step):
        await wait_for(pilot, lambda: "437" in told(step))
        await pilot.press("ctrl+n", "ctrl+p")
        await pilot.pause()
        assert len(preview.questions("data")) == 1
        preview.answers["data"] = report(train=99)
        step.set("data.sources.0.limit", 100)
        step.refresh_from_draft()
        await wait_for(pilot, lambda: "99 train" in told(step))
        asked = preview.questions("data")[-1]
        assert asked["config"]["data"]["sources"][0]["limit"] == 100
        assert asked["rows"] == 5_000


async def test_what_has_nothing_to_do_with_the_data_is_not_asked_with_it() -> None:
    preview = PlayedPreview(data=report())
    async with at_data(preview, LOCAL + '[train]\nepochs = "many"\ntokens_per_pack = 16\n') as (pilot, step):
        await wait_for(pilot, lambda: "437" in told(step))
        assert set(preview.questions("data")[0]["config"]) == {"model", "data", "train"}


async def test_settings_that_are_wrong_are_not_asked_with() -> None:
    preview = PlayedPreview(data=report())
    async with at_data(preview, LOCAL + "limit = 0\n") as (
        pilot,
        step,
    ):
        await wait_for(pilot, lambda: "once the settings above are right" in told(step))
        assert not preview.questions("data")


async def test_another_kind_of_source_has_a_name_that_is_valid_there(quiet_home: Path) -> None:
    (quiet_home / "mine.jsonl").write_text("{}")
    async with at_data(PlayedPreview(data=report())) as (pilot, step):
        await pilot.press("left")
        assert sources(step) == [{"source": "local", "path": "mine.jsonl"}]
        await pilot.press("left")
        assert sources(step) == [{"source": "hub", "path": KNOWN["data"]}]
        assert not step.problems()
        await wait_for(pilot, lambda: "Split" in frame(pilot.app))
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


async def test_what_was_read_is_remembered() -> None:
    async with at_data(PlayedPreview(data=report()), LOCAL) as (pilot, step):
        await wait_for(pilot, lambda: "437" in told(step))
        assert step.recents.recall("data") == [["local", "odd.jsonl"]]


async def test_hostile_rows_and_names_are_text() -> None:
    hostile = report(
        sources=[{**report()["sources"][0], "format": "[/x]\x1b]0;t\x07"}],
        dropped={"[/reason]": tally(3, "a[/b]\x1b[2J:3")},
        warnings=[{"code": "x.y", "text": "[/z]\x1b[31m", "params": {}}],
        pairs=[{"index": 0, "prompt": "[/p]\x1b]52;c;x\x07", "chosen": "[red]", "rejected": "a" * 100_000}],
        count=1,
    )
    async with at_data(PlayedPreview(data=hostile), LOCAL, (120, 60)) as (pilot, step):
        await wait_for(pilot, lambda: "[/x]" in told(step))
        await pilot.press("f7")
        shown = frame(pilot.app)
        assert "\x1b" not in shown
        assert "[/p]" in shown
        assert "[/z]" in shown
        assert "99,200 characters" in shown


async def test_an_answer_to_an_older_question_is_nothing() -> None:
    async with at_data(PlayedPreview(), LOCAL) as (pilot, step):
        look = step.query_one(DataLook)
        look.post_message(DataLook.Read({"another": "question"}, report()))
        await pilot.pause()
        assert look.report is None


@pytest.mark.parametrize(
    ("counts", "shown"),
    [([], ""), ([0, 0], "▁▁"), ([1, 1000], "▂█"), ([0, 50, 100], "▁▅█"), ([-1, 2], "▁█")],
)
def test_counts_are_blocks(counts: list[int], shown: str) -> None:
    assert blocks(counts) == shown
