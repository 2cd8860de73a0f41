"""The story of an export: how it is followed, what came of it, and what can be done with that."""

import json
import socket
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.widgets import Input

from dpo_tui import exporting
from dpo_tui.screens.export import ExportScreen
from dpo_tui.text import Language
from dpo_tui.widgets import export_view as view_module
from dpo_tui.widgets.export_view import ExportView
from dpo_tui.widgets.push_form import PushForm
from engine.process import ProcessId
from engine.rundir.events import EventWriter
from engine.rundir.paths import RunDir
from engine.snippet import loading_snippet
from tests.fake_export import whole_story, write_folder
from tests.tui.driving import SIZES, frame, shows, wait_for
from tests.tui.export_app import asked, at, drawn, exportable, opened, play, play_exports
from tests.tui.fake_runs import GONE, write_events

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

pytestmark = pytest.mark.usefixtures("still_clock")


@pytest.fixture(autouse=True)
def _played(monkeypatch: pytest.MonkeyPatch) -> None:
    play_exports(monkeypatch)


@pytest.fixture
def _one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder in the snippet is the same in every test."""

    def placed(place: str, **facts: Any) -> str:
        return loading_snippet(
            place if place.count("/") == 1 else "/srv/runs/smollm2-concise/export", **facts
        )

    monkeypatch.setattr(view_module, "loading_snippet", placed)


@pytest.fixture
def run(runs_dir: Path) -> Iterator[RunDir]:
    with exportable(runs_dir) as run:
        yield run


def told(run: RunDir, events: list[dict[str, Any]]) -> None:
    """The events of an export, somewhat more than a second apart."""
    timed = [{**event, "after": 1.25} for event in events]
    lines = RunDir(run.root / "nowhere")
    lines.root.mkdir(exist_ok=True)
    write_events(lines, timed)
    lines.events.rename(run.export_events)
    lines.root.rmdir()


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


@pytest.mark.usefixtures("_one_place")
@pytest.mark.parametrize("size", SIZES)
async def test_a_finished_export_is_shown_with_its_answers(
    language: Language, size: tuple[int, int], run: RunDir, snapshot: SnapshotAssertion
) -> None:
    exported(run)
    async with opened(run, "story", size) as (pilot, _):
        assert await drawn(pilot) == snapshot


@pytest.mark.parametrize("size", SIZES)
async def test_an_export_of_another_app_is_followed(
    language: Language, size: tuple[int, int], run: RunDir, snapshot: SnapshotAssertion
) -> None:
    told(run, [*STAGES, WRITING])
    recorded(run, run.export_dir, ProcessId.own())
    async with opened(run, "story", size) as (pilot, app):
        assert await drawn(pilot) == snapshot
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
    async with opened(run, "story", size) as (pilot, _):
        assert await drawn(pilot) == snapshot


@pytest.mark.usefixtures("_one_place")
@pytest.mark.parametrize("size", SIZES)
async def test_an_uploaded_export_is_loaded_from_its_repo(
    language: Language, size: tuple[int, int], run: RunDir, snapshot: SnapshotAssertion
) -> None:
    exported(run, push="me/smollm2-concise")
    async with opened(run, "story", size) as (pilot, app):
        assert await drawn(pilot) == snapshot
        assert "path = 'me/smollm2-concise'" in app.screen.query_one(ExportView).snippet()


async def test_an_export_is_uploaded_afterwards(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    exported(run)
    play(monkeypatch, events=whole_story(run.export_dir, "me/other"))
    async with opened(run, "story") as (pilot, app):
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
    async with opened(run, "story") as (pilot, app):
        await pilot.press("y")
        await wait_for(pilot, lambda: "if your terminal allows" in frame(app))
        assert app.clipboard == app.screen.query_one(ExportView).snippet()
        assert "AutoModelForCausalLM" in app.clipboard


async def test_arrow_keys_turn_to_the_other_answers(run: RunDir) -> None:
    exported(run)
    async with opened(run, "story") as (pilot, app):
        await pilot.press("right")
        await wait_for(pilot, lambda: "2 of 3" in frame(app))
        await shows(pilot, "[bold]4[/bold]")
        await pilot.press("left", "left")
        await wait_for(pilot, lambda: "3 of 3" in frame(app))


async def test_an_export_that_was_started_here_can_be_cancelled(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, events=[*STAGES, WRITING], wait=True)
    async with opened(run, "form") as (pilot, app):
        await pilot.press("enter")
        await wait_for(pilot, lambda: "write the model" in frame(app) and "Cancel" in frame(app))
        await pilot.press("x")
        await wait_for(pilot, lambda: "was cancelled" in frame(app))
        assert "Cancel" not in frame(app).splitlines()[-1]
        await pilot.press("n")
        await at(pilot, "form")


async def test_an_export_goes_on_while_nobody_looks(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, events=[*STAGES, WRITING], wait=True)
    async with opened(run, "form") as (pilot, app):
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
    async with opened(run, "story") as (pilot, app):
        assert "before and after" not in frame(app)
        await pilot.press("a")
        await wait_for(pilot, lambda: "Red, blue and yellow." in frame(app))
        assert asked(run)[:3] == ["answers", str(run.root), str(folder)]
        await shows(pilot, "bit for bit")
        assert "Before/after" not in frame(app)


async def test_an_export_whose_process_is_gone_is_not_waited_for(run: RunDir) -> None:
    told(run, [*STAGES, WRITING])
    recorded(run, run.export_dir)
    async with opened(run, "story") as (pilot, app):
        await shows(pilot, "left no word")
        await pilot.press("n", "enter")
        await wait_for(pilot, lambda: app.screen.has_class("-form") or app.screen.has_class("-story"))
