"""What the keys of the export screen do when they come twice, or when what they ask for fails."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from dpo_tui import exporting
from dpo_tui.exporting import ExportPlan
from dpo_tui.screens.export import ExportScreen
from dpo_tui.widgets.export_view import ExportView
from dpo_tui.widgets.push_form import PushForm
from engine.rundir.events import EventWriter
from engine.rundir.paths import RunDir
from tests.fake_export import whole_story, write_folder
from tests.tui.driving import frame, settle, shows, wait_for
from tests.tui.export_app import Bare, exportable, opened, play, play_exports

pytestmark = pytest.mark.usefixtures("still_clock")
FAILED = {"type": "end", "exit_code": 3, "code": "x.y", "text": "[b]no pairs", "params": {}}


@pytest.fixture(autouse=True)
def _played(monkeypatch: pytest.MonkeyPatch) -> None:
    play_exports(monkeypatch)


@pytest.fixture
def run(runs_dir: Path) -> Iterator[RunDir]:
    with exportable(runs_dir) as run:
        yield run


def uploaded_without_answers(run: RunDir) -> None:
    """An export that was uploaded; nobody has asked it anything."""
    folder = write_folder(run.export_dir)
    plan = ExportPlan(step=300, adapter=False, dtype="bfloat16", to=folder, push="me/x")
    record = {"folder": str(folder), "plan": {**asdict(plan), "to": str(folder)}}
    (run.root / "export.json").write_text(json.dumps(record))
    story = [event for event in whole_story(folder, "me/x") if event.get("stage") != "answers"]
    with EventWriter(run.export_events) as events:
        for event in story:
            if event["type"] != "answers":
                events.emit(**event)


async def test_who_is_logged_in_is_said_each_time_an_upload_is_asked_for(run: RunDir) -> None:
    uploaded_without_answers(run)
    async with opened(run, "story") as (pilot, app):
        for _ in range(3):
            await pilot.press("u")
            await wait_for(pilot, lambda: isinstance(app.screen, PushForm))
            await wait_for(pilot, lambda: "logged in as me" in frame(app))
            await pilot.press("escape")
            await wait_for(pilot, lambda: isinstance(app.screen, ExportScreen))


async def test_enter_pressed_twice_starts_one_export(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[RunDir] = []
    start = exporting._start

    def counted(run: RunDir, *rest: Any) -> None:
        started.append(run)
        start(run, *rest)

    monkeypatch.setattr(exporting, "_start", counted)
    play(monkeypatch, wait=True)
    async with opened(run, "form") as (pilot, app):
        await pilot.press("enter", "enter", "enter")
        await wait_for(pilot, lambda: "Cancel" in frame(app))
        await settle(pilot)
        assert len(started) == 1
        assert "already" not in frame(app)


async def test_two_screens_start_one_export(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, wait=True)
    async with opened(run, "form") as (pilot, app):
        assert exporting.start_export(run, app.screen.query_one("ExportForm").plan())  # type: ignore[attr-defined]
        process = exporting._ours[run.root]
        await pilot.press("enter")
        await wait_for(pilot, lambda: "already" in frame(app))
        assert exporting._ours[run.root] is process


@pytest.mark.parametrize(
    ("events", "code", "said"),
    [
        ([FAILED], 3, "No answers to compare: [b]no pairs"),
        ([], 9, "their process is gone"),
        ([{**FAILED, "exit_code": 130}], 130, "comparison of answers was cancelled"),
    ],
)
async def test_answers_that_fail_leave_the_export_as_good_as_it_was(
    run: RunDir,
    monkeypatch: pytest.MonkeyPatch,
    events: list[dict[str, object]],
    code: int,
    said: str,
) -> None:
    uploaded_without_answers(run)
    started = {"type": "stage", "stage": "answers", "state": "start"}
    play(monkeypatch, events=[started, *events], code=code)
    async with opened(run, "story", (160, 50)) as (pilot, app):
        await pilot.press("a")
        await wait_for(pilot, lambda: said in frame(app))
        shown = frame(app)
        assert "uploaded to me/x" in shown
        assert "bit for bit" in shown
        assert "The export failed" not in shown
        assert "step-300 · merged model · bfloat16" in shown
        assert app.screen.query_one(ExportView).exported
        assert "Before/after" in shown.splitlines()[-1]


async def test_what_an_export_told_stays_while_it_is_asked(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded_without_answers(run)
    play(monkeypatch, events=whole_story(run.export_dir)[-4:-2], wait=True)
    async with opened(run, "story") as (pilot, app):
        await pilot.press("a")
        await wait_for(pilot, lambda: "answer questions" in frame(app) and "Cancel" in frame(app))
        await shows(pilot, "uploaded to me/x")


@pytest.mark.parametrize(
    ("typed", "said"), [("x" * 300, "name too long"), ("~nobody-here/x", ""), ("a/../" * 900, "too long")]
)
async def test_a_folder_that_no_disk_can_hold_is_refused_while_it_is_typed(
    run: RunDir, typed: str, said: str
) -> None:
    async with opened(run, "form") as (pilot, app):
        app.screen.query_one("#folder-input", Input).value = typed
        await settle(pilot)
        await shows(pilot, said)
        assert app.is_running


async def test_an_exported_folder_that_no_disk_can_hold_is_no_export(run: RunDir) -> None:
    (run.root / "export.json").write_text(json.dumps({"folder": "/" + "x" * 300}))
    async with Bare(run).run_test(size=(120, 40)) as pilot:
        await wait_for(pilot, lambda: pilot.app.screen.has_class("-form"))
