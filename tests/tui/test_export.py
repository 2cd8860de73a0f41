"""The export screen: what there is to choose, how an export is followed, and what came of it."""

import json
import socket
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot
from textual.widgets import Input

from dpo_tui import clock, exporting
from dpo_tui.app import DpoApp
from dpo_tui.hub.login import Login
from dpo_tui.screens import export as screen_module
from dpo_tui.screens.export import ExportScreen
from dpo_tui.snippet import loading_snippet
from dpo_tui.text import Language
from dpo_tui.widgets import export_view as view_module
from dpo_tui.widgets.choice import Choice
from dpo_tui.widgets.confirm import Confirm
from dpo_tui.widgets.export_view import ExportView
from dpo_tui.widgets.push_form import PushForm
from engine.process import ProcessId
from engine.rundir.events import EventWriter
from engine.rundir.manifest import MANIFEST
from engine.rundir.paths import RunDir
from tests.fake_engine import CONFIG
from tests.fake_export import COMMAND, played, whole_story, write_folder
from tests.tui.driving import SIZES, assert_sound, frame, settle, wait_for
from tests.tui.fake_runs import GONE, NOW, make_run, write_events

LORA = CONFIG + "[model.lora]\nrank = 8\n"


class Bare(DpoApp):
    """The app with nothing under the export screen."""

    def __init__(self, run: RunDir) -> None:
        super().__init__(run.root.parent)
        self.shown = run

    def open_home(self) -> None:
        self.push_screen(ExportScreen(self.shown.root))


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(exporting, "ENGINE", COMMAND)
    monkeypatch.setattr(screen_module, "login", lambda: Login("ok", "me"))


@pytest.fixture
def _one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder in the snippet is the same in every test."""

    def placed(place: str, **facts: bool) -> str:
        return loading_snippet(
            place if place.count("/") == 1 else "/srv/runs/smollm2-concise/export", **facts
        )

    monkeypatch.setattr(view_module, "loading_snippet", placed)


@pytest.fixture
def run(quiet_home: Path) -> Iterator[RunDir]:
    run = make_run(quiet_home / "runs", "smollm2-concise", total=300, save_every=100, config=LORA)
    yield run
    if (process := exporting._ours.pop(run.root, None)) is not None:
        process.kill()
        process.wait()


def play(monkeypatch: pytest.MonkeyPatch, **wishes: Any) -> None:
    for name, value in played(**wishes).items():
        monkeypatch.setenv(name, value)


def told(run: RunDir, events: list[dict[str, Any]]) -> None:
    """The events of an export, a tenth of a second apart."""
    timed = [{**event, "after": 1.25} for event in events]
    lines = RunDir(run.root / "nowhere")
    lines.root.mkdir(exist_ok=True)
    write_events(lines, timed)
    lines.events.rename(run.export_events)
    lines.root.rmdir()


async def at(pilot: Pilot[int], mode: str) -> Bare:
    app = pilot.app
    assert isinstance(app, Bare)
    await wait_for(pilot, lambda: app.screen.has_class(f"-{mode}"))
    await settle(pilot)
    return app


def recorded(run: RunDir, folder: Path, process: ProcessId = GONE) -> None:
    """What an app leaves of an export that it has started."""
    plan = {
        "step": 300,
        "adapter": False,
        "dtype": "bfloat16",
        "to": str(folder),
        "push": None,
        "private": True,
    }
    record = {**asdict(process), "host": socket.gethostname(), "folder": str(folder), "plan": plan}
    (run.root / "export.json").write_text(json.dumps(record))


def exported(run: RunDir, events: list[dict[str, Any]] | None = None, push: str | None = None) -> None:
    """An export that has ended, by another app."""
    write_folder(run.export_dir)
    told(run, whole_story(run.export_dir, push) if events is None else events)
    recorded(run, run.export_dir)


def asked(run: RunDir) -> list[str]:
    """The words that the export was started with."""
    words: list[str] = json.loads((run.root / "argv.json").read_text())
    return words


STAGES = [
    {"type": "stage", "stage": stage, "state": state}
    for stage, state in (
        ("checkpoint", "start"),
        ("checkpoint", "end"),
        ("policy", "start"),
        ("policy", "end"),
    )
]
WRITING = {"type": "stage", "stage": "write", "state": "start"}
FULL = {
    "type": "end",
    "exit_code": 6,
    "code": "write.no_space",
    "text": "/srv/x: [red]no space[/] left on the disk",
    "params": {},
}


async def drawn(pilot: Pilot[int], mode: str, snapshot: SnapshotAssertion) -> Bare:
    app = await at(pilot, mode)
    await steady(pilot)
    assert_sound(app)
    assert frame(app) == snapshot
    return app


async def steady(pilot: Pilot[int]) -> None:
    """Wait until nothing on the screen changes any more."""
    frames = [""]
    await wait_for(pilot, lambda: frames.append(frame(pilot.app)) or frames[-3:] == [frames[-1]] * 3)  # type: ignore[func-returns-value]


@pytest.mark.parametrize("size", SIZES)
async def test_an_export_is_ready_to_be_started(
    language: Language, size: tuple[int, int], run: RunDir, snapshot: SnapshotAssertion
) -> None:
    async with Bare(run).run_test(size=size) as pilot:
        await drawn(pilot, "form", snapshot)


@pytest.mark.usefixtures("_one_place")
@pytest.mark.parametrize("size", SIZES)
async def test_a_finished_export_is_shown_with_its_answers(
    language: Language, size: tuple[int, int], run: RunDir, snapshot: SnapshotAssertion
) -> None:
    exported(run)
    async with Bare(run).run_test(size=size) as pilot:
        await drawn(pilot, "story", snapshot)


@pytest.mark.parametrize("size", SIZES)
async def test_an_export_of_another_app_is_followed(
    language: Language, size: tuple[int, int], run: RunDir, snapshot: SnapshotAssertion
) -> None:
    told(run, [*STAGES, WRITING])
    recorded(run, run.export_dir, ProcessId.own())
    async with Bare(run).run_test(size=size) as pilot:
        app = await drawn(pilot, "story", snapshot)
        await pilot.press("x")
        await pilot.pause()
        with EventWriter(run.export_events) as events:
            for event in whole_story(write_folder(run.export_dir))[5:]:
                events.emit(**event)
        await wait_for(pilot, lambda: "538 MB" in frame(app))


@pytest.mark.parametrize("size", SIZES)
async def test_a_failed_export_says_why_and_shows_the_end_of_its_log(
    language: Language, size: tuple[int, int], run: RunDir, snapshot: SnapshotAssertion
) -> None:
    told(run, [*STAGES, WRITING, FULL])
    recorded(run, run.export_dir)
    exporting.export_log(run).write_text("one\ntwo [b]three[/b]\nfour\nOSError: \x1b[2J no space\n")
    async with Bare(run).run_test(size=size) as pilot:
        await drawn(pilot, "story", snapshot)


@pytest.mark.usefixtures("_one_place")
@pytest.mark.parametrize("size", SIZES)
async def test_an_uploaded_export_is_loaded_from_its_repo(
    language: Language, size: tuple[int, int], run: RunDir, snapshot: SnapshotAssertion
) -> None:
    exported(run, push="me/smollm2-concise")
    async with Bare(run).run_test(size=size) as pilot:
        app = await drawn(pilot, "story", snapshot)
        assert "path = 'me/smollm2-concise'" in app.screen.query_one(ExportView).snippet()


@pytest.mark.parametrize("size", SIZES)
async def test_offline_nothing_is_uploaded(
    language: Language,
    size: tuple[int, int],
    run: RunDir,
    snapshot: SnapshotAssertion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(screen_module, "login", lambda: Login("offline"))
    async with Bare(run).run_test(size=size) as pilot:
        app = await at(pilot, "form")
        app.screen.query(Choice).last().focus()
        await pilot.press("right")
        await wait_for(pilot, lambda: "HF_HUB_OFFLINE" in frame(app))
        await pilot.press("enter")
        await steady(pilot)
        assert_sound(app)
        assert frame(app) == snapshot
        assert not (run.root / "argv.json").exists()


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_without_a_checkpoint_has_nothing_to_export(
    language: Language, size: tuple[int, int], quiet_home: Path, snapshot: SnapshotAssertion
) -> None:
    run = make_run(quiet_home / "runs", "young", "running", steps=3, total=300)
    async with Bare(run).run_test(size=size) as pilot:
        app = pilot.app
        assert isinstance(app, Bare)
        await wait_for(pilot, lambda: "train.save_every" in frame(app))
        await steady(pilot)
        assert_sound(app)
        assert frame(app) == snapshot


async def test_enter_exports_what_is_chosen(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(run.root.parent.parent / "out")
    play(monkeypatch, events=whole_story(folder))
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        app = await at(pilot, "form")
        await pilot.press("down", "tab", "right", "tab", "right", "right", "tab", "end", "ctrl+u")
        await pilot.press(*"./out", "enter")
        await wait_for(pilot, lambda: "538 MB" in frame(app))
        words = asked(run)
        assert words[: words.index("--checkpoint")][-2:] == ["--answers", "3"]
        assert words[words.index("--checkpoint") :] == [
            "--checkpoint", "200", "--dtype", "float32", "--to", str(folder), "--adapter",
        ]  # fmt: skip
        assert "Red, blue and yellow." in frame(app)
        assert str(folder) in app.screen.query_one(ExportView).snippet()


async def test_a_folder_that_cannot_be_used_is_refused_while_it_is_typed(run: RunDir) -> None:
    work = run.root.parent.parent
    (work / "thesis").mkdir()
    (work / "thesis" / "final.tex").write_text("x")
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        app = await at(pilot, "form")
        app.screen.query_one("#folder-input", Input).focus()
        await pilot.press("end", "ctrl+u", *"./thesis")
        await wait_for(pilot, lambda: "final.tex" in frame(app))
        await pilot.press("enter")
        await settle(pilot)
        assert app.screen.has_class("-form")
        assert not (run.root / "argv.json").exists()


async def test_an_upload_is_private_unless_somebody_insists(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, events=whole_story(write_folder(run.export_dir), "me/smollm2-concise"))
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        app = await at(pilot, "form")
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
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        app = await at(pilot, "form")
        app.screen.query(Choice).last().focus()
        await pilot.press("right")
        await wait_for(pilot, lambda: "hf auth login" in frame(app))
        app.screen.query_one("#repo-row Input", Input).value = "me/x"
        await pilot.press("enter")
        await settle(pilot)
        assert app.screen.has_class("-form")
        assert not (run.root / "argv.json").exists()


async def test_an_export_is_uploaded_afterwards(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    exported(run)
    play(monkeypatch, events=whole_story(run.export_dir, "me/other"))
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        app = await at(pilot, "story")
        await pilot.press("u")
        await wait_for(pilot, lambda: "logged in as me" in frame(app))
        app.screen.query_one(Input).value = "no/such/repo"
        await pilot.press("enter")
        assert isinstance(app.screen, PushForm)
        app.screen.query_one(Input).value = "me/other"
        await pilot.press("enter")
        await wait_for(pilot, lambda: "uploaded to me/other" in frame(app))
        words = asked(run)
        assert words[words.index("--checkpoint") :] == [
            "--checkpoint", "300", "--dtype", "bfloat16", "--to", str(run.export_dir), "--no-adapter",
            "--push", "me/other", "--private",
        ]  # fmt: skip


async def test_the_code_that_loads_it_is_copied(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    exported(run)
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        app = await at(pilot, "story")
        await pilot.press("y")
        await wait_for(pilot, lambda: "if your terminal allows" in frame(app))
        assert app.clipboard == app.screen.query_one(ExportView).snippet()
        assert "AutoModelForCausalLM" in app.clipboard


async def test_arrow_keys_turn_to_the_other_answers(run: RunDir) -> None:
    exported(run)
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        app = await at(pilot, "story")
        await pilot.press("right")
        await wait_for(pilot, lambda: "2 of 3" in frame(app))
        assert "[bold]4[/bold]" in frame(app)
        await pilot.press("left", "left")
        await wait_for(pilot, lambda: "3 of 3" in frame(app))


async def test_an_export_that_was_started_here_can_be_cancelled(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, events=[*STAGES, WRITING], wait=True)
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        app = await at(pilot, "form")
        await pilot.press("enter")
        await wait_for(pilot, lambda: "write the model" in frame(app) and "Cancel" in frame(app))
        await pilot.press("x")
        await wait_for(pilot, lambda: "was cancelled" in frame(app))
        assert "Cancel" not in frame(app).splitlines()[-1]
        await pilot.press("n")
        await at(pilot, "form")


async def test_an_export_goes_on_while_nobody_looks(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, events=[*STAGES, WRITING], wait=True)
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        app = await at(pilot, "form")
        await pilot.press("enter")
        await wait_for(pilot, lambda: "Cancel" in frame(app))
        await pilot.press("escape")
        app.push_screen(ExportScreen(run.root))
        await wait_for(pilot, lambda: "write the model" in frame(app))
        assert exporting.is_running(run)


async def test_answers_are_asked_for_where_there_are_none(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(run.export_dir)
    with EventWriter(run.events) as events:
        events.emit("export", path=str(folder), push=None, proof=None)
    play(monkeypatch, events=whole_story(folder)[-4:])
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        app = await at(pilot, "story")
        assert "before and after" not in frame(app)
        await pilot.press("a")
        await wait_for(pilot, lambda: "Red, blue and yellow." in frame(app))
        assert asked(run)[:3] == ["answers", str(run.root), str(folder)]
        assert "bit for bit" in frame(app)
        assert "Before/after" not in frame(app)


async def test_an_export_whose_process_is_gone_is_not_waited_for(run: RunDir) -> None:
    told(run, [*STAGES, WRITING])
    recorded(run, run.export_dir)
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        app = await at(pilot, "story")
        assert "left no word" in frame(app)
        await pilot.press("n", "enter")
        await wait_for(pilot, lambda: app.screen.has_class("-form") or app.screen.has_class("-story"))


async def test_a_checkpoint_with_a_damaged_manifest_is_named_and_not_offered(run: RunDir) -> None:
    (run.checkpoints_dir / "step-200" / MANIFEST).write_text("{}")
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        app = await at(pilot, "form")
        assert "step-200 cannot be exported" in frame(app)
        assert "step-200  eval" not in frame(app)


async def test_a_run_whose_config_is_broken_says_so(run: RunDir) -> None:
    run.config.write_text("[model\n")
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        app = pilot.app
        await wait_for(pilot, lambda: "config.toml:1" in frame(app))
