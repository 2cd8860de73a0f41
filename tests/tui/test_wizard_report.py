"""What the wizard tells of the data: what became of the rows, why they cannot be read, and pairs to look at."""

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Button

from dpo_tui.preview import PreviewError
from dpo_tui.text import Language, t
from dpo_tui.widgets.histogram import blocks
from dpo_tui.widgets.pair_view import PairView
from dpo_tui.wizard import data_look
from dpo_tui.wizard.data_look import DataLook
from tests.tui.driving import SIZES, assert_sound, frame, wait_for
from tests.tui.wizard_data import LOCAL, UNKNOWN, at_data, refused, sources, told
from tests.tui.wizard_preview import PlayedPreview, pair, report, tally

TEXT_FOR_CHAT = {
    "code": "data.text_for_chat_model",
    "text": "300 pairs are plain text, and are trained as it stands, without the model's chat template.",
    "params": {"count": 300, "total": 300},
}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_look, "PAUSE", 0.0)


@pytest.mark.parametrize("size", SIZES)
async def test_the_builtin_pairs(
    language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    async with at_data(PlayedPreview(data=report()), size=size, until="437") as (pilot, _):
        assert_sound(pilot.app)
        assert frame(pilot.app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_data_that_is_being_read(
    language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    preview = PlayedPreview()
    preview.progress = (1_280, 5_000)
    async with at_data(preview, size=size, until="1,280") as (pilot, _):
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
    async with at_data(PlayedPreview(data=changed), LOCAL, size, until="4,981") as (pilot, step):
        assert "odd.jsonl:3" not in frame(pilot.app)
        await pilot.press("f7")
        await wait_for(pilot, lambda: "odd.jsonl:3" in told(step))
        assert_sound(pilot.app)
        assert frame(pilot.app) == snapshot


async def test_what_is_left_out_is_told_by_its_values(language: Language) -> None:
    values = [
        {"column": "source", "value": '"toxic-dpo-v0.2"', "rows": 541, "near": ""},
        {"column": "ok", "value": "false", "rows": 0, "near": ""},
    ]
    source = {**report()["sources"][0], "excluded": values}
    changed = report(sources=[source], rows=1_001, dropped={"excluded": tally(541, "odd.jsonl:3")})
    async with at_data(PlayedPreview(data=changed), LOCAL, until="541") as (_, step):
        counts = t("data_step.comma").join(['source = "toxic-dpo-v0.2" (541)', "ok = false (0)"])
        assert t("data_step.excluded", counts=counts) in told(step)
        assert t("report.dropped.excluded") in told(step)


@pytest.mark.parametrize("size", SIZES)
async def test_an_unknown_layout(
    language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    async with at_data(PlayedPreview(data=refused(UNKNOWN)), LOCAL, size, until="✗") as (pilot, _):
        assert_sound(pilot.app)
        assert frame(pilot.app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_a_broken_row(language: Language, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    text = "/data/odd.jsonl:2: not valid JSON: Expecting property name (column 2). Expected one JSON object a line."
    params = {"where": "/data/odd.jsonl:2", "problem": "not valid JSON: Expecting property name (column 2)"}
    preview = PlayedPreview(data=PreviewError("data.unreadable", text, params))
    async with at_data(preview, LOCAL, size, until="odd.jsonl:2") as (pilot, step):
        assert not step.query_one("#map", Button).display
        assert frame(pilot.app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_a_preview_that_died(
    language: Language, size: tuple[int, int], snapshot: SnapshotAssertion
) -> None:
    text = "The process that reads models and data died: it was killed, perhaps for want of memory."
    preview = PlayedPreview(data=PreviewError("preview.died", text, {"status": -9}))
    async with at_data(preview, size=size, until="✗") as (pilot, _):
        assert frame(pilot.app) == snapshot


async def test_plain_text_for_a_chat_model_becomes_chat_on_a_key() -> None:
    preview = PlayedPreview(data=report(warnings=[TEXT_FOR_CHAT]))
    async with at_data(preview, LOCAL) as (pilot, step):
        await wait_for(pilot, lambda: step.query_one("#as-chat", Button).display)
        preview.answers["data"] = report()
        await pilot.press("f10")
        await wait_for(pilot, lambda: not step.query_one("#as-chat", Button).display)
        assert sources(step)[0]["format"] == "prompt-pairs"


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40)])
async def test_a_warning_stands_under_the_counts_and_marks_the_step(
    language: Language, size: tuple[int, int]
) -> None:
    preview = PlayedPreview(data=report(warnings=[TEXT_FOR_CHAT]))
    async with at_data(preview, LOCAL, size) as (pilot, step):
        button = step.query_one("#as-chat", Button)
        await wait_for(pilot, lambda: button.display and button.region.height)
        assert pilot.app.screen.region.contains_region(button.region)
        assert button.region.y < step.query_one("#lengths").region.y
        assert_sound(pilot.app)
        await pilot.press("ctrl+n")
        await wait_for(pilot, lambda: f"⚠ {t('wizard.step.data')}" in frame(pilot.app))
        preview.answers["data"] = report()
        await pilot.press("ctrl+p", "f10")
        await wait_for(pilot, lambda: step.query_one(DataLook).report == report())
        await pilot.press("ctrl+n")
        await wait_for(pilot, lambda: f"⚠ {t('wizard.step.data')}" not in frame(pilot.app))


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
    async with at_data(preview, until="437") as (pilot, step):
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
    async with at_data(preview, LOCAL + '[train]\nepochs = "many"\ntokens_per_pack = 16\n', until="437"):
        assert set(preview.questions("data")[0]["config"]) == {"model", "data", "train"}


async def test_settings_that_are_wrong_are_not_asked_with() -> None:
    preview = PlayedPreview(data=report())
    async with at_data(preview, LOCAL + "limit = 0\n", until="once the settings above are right"):
        assert not preview.questions("data")


async def test_hostile_rows_and_names_are_text() -> None:
    hostile = report(
        sources=[{**report()["sources"][0], "format": "[/x]\x1b]0;t\x07"}],
        dropped={"[/reason]": tally(3, "a[/b]\x1b[2J:3")},
        warnings=[{"code": "x.y", "text": "[/z]\x1b[31m", "params": {}}],
        pairs=[{"index": 0, "prompt": "[/p]\x1b]52;c;x\x07", "chosen": "[red]", "rejected": "a" * 100_000}],
        count=1,
    )
    async with at_data(PlayedPreview(data=hostile), LOCAL, (120, 60), until="[/x]") as (pilot, _):
        await pilot.press("f7")
        shown = frame(pilot.app)
        assert "\x1b" not in shown
        assert "[/p]" in shown
        assert "[/z]" in shown
        assert "99,200" in shown


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
