"""The form of an export: what there is to choose, what is refused, and what the export is started with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Input

from dpo_tui.hub.login import Login
from dpo_tui.screens import export_actions as screen_module
from dpo_tui.text import Language
from dpo_tui.widgets.choice import Choice
from dpo_tui.widgets.confirm import Confirm
from dpo_tui.widgets.export_view import ExportView
from engine.rundir.manifest import MANIFEST
from engine.rundir.paths import RunDir
from tests.fake_export import whole_story, write_folder
from tests.tui.driving import SIZES, frame, settle, shows, wait_for
from tests.tui.export_app import Bare, asked, drawn, exportable, opened, play, play_exports
from tests.tui.fake_runs import make_run

pytestmark = pytest.mark.usefixtures("still_clock")


@pytest.fixture(autouse=True)
def _played(monkeypatch: pytest.MonkeyPatch) -> None:
    play_exports(monkeypatch)


@pytest.fixture
def run(runs_dir: Path) -> Iterator[RunDir]:
    with exportable(runs_dir) as run:
        yield run


@pytest.mark.parametrize("size", SIZES)
async def test_an_export_is_ready_to_be_started(
    language: Language, size: tuple[int, int], run: RunDir, snapshot: SnapshotAssertion
) -> None:
    async with opened(run, "form", size) as (pilot, _):
        assert await drawn(pilot) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_offline_nothing_is_uploaded(
    language: Language,
    size: tuple[int, int],
    run: RunDir,
    snapshot: SnapshotAssertion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(screen_module, "login", lambda: Login("offline"))
    async with opened(run, "form", size) as (pilot, app):
        app.screen.query(Choice).last().focus()
        await pilot.press("right")
        await wait_for(pilot, lambda: "HF_HUB_OFFLINE" in frame(app))
        await pilot.press("enter")
        assert await drawn(pilot) == snapshot
        assert not (run.root / "argv.json").exists()


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_without_a_checkpoint_has_nothing_to_export(
    language: Language, size: tuple[int, int], runs_dir: Path, snapshot: SnapshotAssertion
) -> None:
    run = make_run(runs_dir, "young", "running", steps=3, total=300)
    async with Bare(run).run_test(size=size) as pilot:
        await wait_for(pilot, lambda: "train.save_every" in frame(pilot.app))
        assert await drawn(pilot) == snapshot


async def test_enter_exports_what_is_chosen(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(run.root.parent.parent / "out")
    play(monkeypatch, events=whole_story(folder))
    async with opened(run, "form") as (pilot, app):
        await pilot.press("down", "tab", "right", "tab", "right", "right", "tab", "end", "ctrl+u")
        await pilot.press(*"./out", "enter")
        await wait_for(pilot, lambda: "538 MB" in frame(app))
        words = asked(run)
        assert words[: words.index("--checkpoint")][-2:] == ["--answers", "3"]
        assert words[words.index("--checkpoint") :] == [
            "--checkpoint", "200", "--dtype", "float32", "--to", str(folder), "--adapter",
        ]  # fmt: skip
        await shows(pilot, "Red, blue and yellow.")
        assert str(folder) in app.screen.query_one(ExportView).snippet()


async def test_a_folder_that_cannot_be_used_is_refused_while_it_is_typed(run: RunDir) -> None:
    work = run.root.parent.parent
    (work / "thesis").mkdir()
    (work / "thesis" / "final.tex").write_text("x")
    async with opened(run, "form") as (pilot, app):
        app.screen.query_one("#folder-input", Input).focus()
        await pilot.press("end", "ctrl+u", *"./thesis")
        await wait_for(pilot, lambda: "final.tex" in frame(app))
        await pilot.press("enter")
        await settle(pilot)
        assert app.screen.has_class("-form")
        assert not (run.root / "argv.json").exists()


async def test_an_export_that_would_be_replaced_is_named_before_it_is(run: RunDir) -> None:
    write_folder(run.root.parent.parent / "out")
    async with opened(run, "form") as (pilot, app):
        folder = app.screen.query_one("#folder-input", Input)
        folder.focus()
        await pilot.press("end", "ctrl+u", *"./out")
        await wait_for(pilot, lambda: "take its place: step-300 · merged model · bfloat16" in frame(app))
        await pilot.press("backspace")
        await wait_for(pilot, lambda: "take its place" not in frame(app))


async def test_an_upload_is_private_unless_somebody_insists(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, events=whole_story(write_folder(run.export_dir), "me/smollm2-concise"))
    async with opened(run, "form") as (pilot, app):
        app.screen.query(Choice).last().focus()
        await pilot.press("right", "right")
        await wait_for(pilot, lambda: "logged in as me" in frame(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")
        await settle(pilot)
        assert not (run.root / "argv.json").exists()
        await pilot.press("left", "enter")
        await wait_for(pilot, lambda: "uploaded to me/smollm2-concise" in frame(app))
        assert asked(run)[-3:] == ["--push", "me/smollm2-concise", "--private"]


async def test_without_a_login_an_upload_is_not_begun(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen_module, "login", lambda: Login("none"))
    async with opened(run, "form") as (pilot, app):
        app.screen.query(Choice).last().focus()
        await pilot.press("right")
        await wait_for(pilot, lambda: "hf auth login" in frame(app))
        app.screen.query_one("#repo-row Input", Input).value = "me/x"
        await pilot.press("enter")
        await settle(pilot)
        assert app.screen.has_class("-form")
        assert not (run.root / "argv.json").exists()


async def test_a_checkpoint_with_a_damaged_manifest_is_named_and_not_offered(run: RunDir) -> None:
    (run.checkpoints_dir / "step-200" / MANIFEST).write_text("{}")
    async with opened(run, "form") as (pilot, app):
        await shows(pilot, "step-200 cannot be exported")
        assert "step-200  eval" not in frame(app)


async def test_a_run_whose_config_is_broken_says_so(run: RunDir) -> None:
    run.config.write_text("[model\n")
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        await wait_for(pilot, lambda: "config.toml:1" in frame(pilot.app))
