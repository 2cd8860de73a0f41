"""Opening a config: each step reflects it, saving keeps it, and a broken one is shown with its lines."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Input

from dpo_tui.text import Language
from dpo_tui.widgets.field import Field
from dpo_tui.wizard.broken import BrokenFile
from engine.shipped import template_dir, template_names
from tests.tui.driving import SIZES, assert_sound, frame, shows, wait_for
from tests.tui.wizard_app import CONFIG, Blank, WizardApp, drawn, opened, stand_still

BROKEN = '[model]\nid = "a/b\n\n[train]\nepochs = 1\n'
HOSTILE = "[model]\nid = [/red]\x1b]0;title\x07\n# hf_" + "a" * 24 + "\n"


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)


async def test_every_step_reflects_the_file() -> None:
    Path("mine.toml").write_text(CONFIG)
    async with WizardApp(Path("mine.toml")).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        await shows(pilot, "Config  mine.toml")
        values = {
            field.key: field.query_one(Input).value for field in app.screen.query(Field) if field.query(Input)
        }
        assert values["train.epochs"] == "2"
        await pilot.press(*["ctrl+n"] * 3)
        await wait_for(pilot, lambda: app.step.step_id == "launcher")
        await shows(pilot, "pairs.jsonl", "▸ Launcher")


@pytest.mark.parametrize(
    ("name", "line_end"), [*((name, "\n") for name in template_names()), ("full", "\r\n")]
)
async def test_opened_looked_at_and_saved_it_keeps_every_byte(name: str, line_end: str) -> None:
    content = (template_dir() / f"{name}.toml").read_text().replace("\n", line_end).encode()
    Path("mine.toml").write_bytes(content)
    async with WizardApp(Path("mine.toml")).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        await pilot.press(*["ctrl+n"] * 4, *["ctrl+p"] * 4)
        await drawn(pilot)
        assert not app.wizard.draft.changed
        await pilot.press("ctrl+s")
        await drawn(pilot)
        assert Path("mine.toml").read_bytes() == content
        await pilot.press("escape")
        await wait_for(pilot, lambda: isinstance(app.screen, Blank))


async def test_a_change_is_saved_with_all_comments() -> None:
    Path("mine.toml").write_text(CONFIG)
    async with WizardApp(Path("mine.toml")).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        epochs = next(field for field in app.screen.query(Field) if field.key == "train.epochs")
        epochs.query_one(Input).value = "3"
        await pilot.pause()
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: not app.wizard.draft.changed)
        assert Path("mine.toml").read_text() == CONFIG.replace("epochs = 2", "epochs = 3")


async def test_faults_of_the_file_stand_at_their_fields(language: Language) -> None:
    Path("mine.toml").write_text(CONFIG.replace("epochs = 2", "epochs = -1"))
    async with WizardApp(Path("mine.toml")).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        epochs = next(field for field in app.screen.query(Field) if field.key == "train.epochs")
        assert epochs.has_class("-fault")
        assert app.focused is epochs.query_one(Input)


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_that_is_no_toml_is_shown_with_the_line(
    size: tuple[int, int], language: Language, snapshot: SnapshotAssertion
) -> None:
    Path("broken.toml").write_text(BROKEN)
    async with WizardApp(Path("broken.toml")).run_test(size=size) as pilot:
        app = await opened(pilot)
        await drawn(pilot)
        assert_sound(app)
        assert frame(app) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_the_reason_stays_in_sight_beside_a_line_far_down(
    size: tuple[int, int], language: Language
) -> None:
    Path("long.toml").write_text("# a comment\n" * 300 + BROKEN)
    async with WizardApp(Path("long.toml")).run_test(size=size) as pilot:
        app = await opened(pilot)
        await wait_for(pilot, lambda: "✗ 302" in frame(app))
        reason = "line 302" if language == "en" else "第 302 行"
        await shows(pilot, reason)
        await pilot.press("end", "home")
        await drawn(pilot)
        await shows(pilot, reason, " 1  # a comment")
        assert_sound(app)


async def test_a_broken_file_is_read_again_once_it_is_right() -> None:
    Path("mine.toml").write_text(BROKEN)
    async with WizardApp(Path("mine.toml")).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+n", "ctrl+s", "f6")
        await drawn(pilot)
        assert app.screen.query(BrokenFile)
        Path("mine.toml").write_text(CONFIG)
        await pilot.press("f6")
        await wait_for(pilot, lambda: not app.screen.query(BrokenFile) and "epochs = 2" in frame(app))
        await pilot.press("escape")
        await wait_for(pilot, lambda: isinstance(app.screen, Blank))


async def test_nothing_in_a_broken_file_reaches_the_terminal_as_more_than_text() -> None:
    Path("mine.toml").write_text(HOSTILE)
    async with WizardApp(Path("mine.toml")).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        await drawn(pilot)
        await shows(pilot, "[/red]\\x1b]0;title\\x07")
        assert "aaaa" not in frame(app)


@pytest.mark.parametrize("make", [None, Path.mkdir, partial(Path.write_bytes, data=b"\xff")])
async def test_a_file_that_cannot_be_read_is_said(make: Callable[[Path], object] | None) -> None:
    if make is not None:
        make(Path("gone.toml"))
    async with WizardApp(Path("gone.toml")).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await drawn(pilot)
        await shows(pilot, "gone.toml cannot be read", "✗")
