"""The last step: what was chosen, whether it can start, and what to do if not."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Button

from dpo_tui.preview import Progress
from dpo_tui.text import Language, t
from dpo_tui.widgets.memory_bar import MemoryBar
from dpo_tui.wizard import machine, preflight
from dpo_tui.wizard.machine import Machine
from dpo_tui.wizard.review import ReviewStep
from engine.forecast import Forecast
from engine.memory import Estimate, Part
from engine.remedy import Remedy
from tests.tui.driving import SIZES, assert_sound, frame, shows, wait_for
from tests.tui.wizard_app import CONFIG, WizardApp, at_review, drawn, opened, stand_still
from tests.tui.wizard_preview import BUILTIN_FACTS, PlayedPreview, PreviewedApp


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
        await shows(pilot, "$ dpo-tui --headless quickstart.toml")


async def test_a_fix_is_offered_only_where_there_is_one() -> None:
    async with WizardApp().run_test(size=(80, 24)) as pilot:
        app, _ = await at_review(pilot)
        assert "f Fix" not in frame(app)


PARTS: dict[Part, int] = {
    "program": 640 << 20,
    "weights": 257 << 20,
    "optimizer": 1539 << 20,
    "gradients": 567 << 20,
    "activations": 3196 << 20,
    "head": 400 << 20,
}
LESS = Remedy("train.gradient_checkpointing", True, 3 << 30)


@pytest.mark.parametrize("room", [16, 5], ids=["fits", "tight"])
@pytest.mark.parametrize("size", SIZES)
async def test_a_bar_shows_the_memory_and_names_the_most_of_it(
    room: int,
    size: tuple[int, int],
    language: Language,
    snapshot: SnapshotAssertion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = Forecast(Estimate("turn", PARTS), 4096, room << 30, LESS if room < 8 else None)
    monkeypatch.setattr(preflight, "foreseen", lambda *_: found)
    async with WizardApp().run_test(size=size) as pilot:
        app, _ = await at_review(pilot)
        assert_sound(app)
        shown = frame(app)
        assert f"{t('memory.part.activations')} 3.12" in shown
        assert shown == snapshot


async def test_memory_that_may_run_out_is_doubtful_until_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "look", lambda: Machine(8, 3 << 30))
    async with PreviewedApp(PlayedPreview(model=BUILTIN_FACTS)).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+n")
        await wait_for(pilot, lambda: "135M" in frame(app))
        await pilot.press(*["ctrl+n"] * 3)
        step = app.step
        assert isinstance(step, ReviewStep)
        await wait_for(pilot, lambda: step.fix is not None and "⚠" in frame(app))
        assert not app.screen.query_one("#start", Button).disabled
        assert step.fix is not None
        wanted = dict(step.fix.fix)
        await pilot.press("f")
        await wait_for(pilot, lambda: not step.looking and "⚠" not in frame(app))
        assert {key: app.wizard.draft.get(key) for key in wanted} == wanted
        assert step.problems() == []


class LatePreview(PlayedPreview):
    """Tells of a model only once it is let."""

    def __init__(self) -> None:
        super().__init__(model=BUILTIN_FACTS)
        self.let = asyncio.Event()

    async def ask(self, kind: str, on_progress: Progress | None = None, **asked: Any) -> dict[str, Any]:
        answer = await super().ask(kind, on_progress, **asked)
        await self.let.wait()
        return answer


async def test_a_model_told_late_gets_its_bar_and_another_model_takes_it_away() -> None:
    preview = LatePreview()
    async with PreviewedApp(preview).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+n")
        await wait_for(pilot, lambda: preview.questions("model"))
        await pilot.press(*["ctrl+n"] * 3)
        bar = app.step.query_one(MemoryBar)
        assert not bar.display
        preview.let.set()
        await wait_for(pilot, lambda: bar.display)
        app.wizard.draft.set("model.id", "another")
        app.wizard.show_draft()
        await wait_for(pilot, lambda: not bar.display)
