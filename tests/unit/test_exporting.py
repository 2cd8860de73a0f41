"""Exports as processes: how they are asked for, followed by anybody, and ended by who started them."""

import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpo_tui import exporting
from dpo_tui.export_story import Story, StoryFollower, result_of
from dpo_tui.exporting import (
    ExportPlan,
    cancel,
    export_log,
    exported_before,
    is_running,
    may_cancel,
    plan_of,
    start_answers,
    start_export,
    story_of,
)
from engine.export import command
from engine.rundir.events import EventWriter
from engine.rundir.lock import RunLock
from engine.rundir.paths import RunDir
from tests.fake_export import ANSWERS, COMMAND, PROOF, played, whole_story, write_folder
from tests.tui.fake_runs import make_run
from tests.waiting import until


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunDir]:
    monkeypatch.setattr(exporting, "ENGINE", COMMAND)
    run = make_run(tmp_path, "smollm2-concise")
    yield run
    if (process := exporting._ours.pop(run.root, None)) is not None:
        process.kill()
        process.wait()


def play(monkeypatch: pytest.MonkeyPatch, **wishes: Any) -> None:
    for name, value in played(**wishes).items():
        monkeypatch.setenv(name, value)


def plan(run: RunDir, **changed: Any) -> ExportPlan:
    return ExportPlan(**{"step": 80, "adapter": False, "dtype": "bfloat16", "to": run.export_dir, **changed})


def test_every_choice_is_one_of_the_words_that_the_engine_takes(run: RunDir) -> None:
    words = plan(run, push="me/x", private=False, adapter=True).argv(run)
    options = command._parser().parse_args(words[1:])
    assert words[0] == "export"
    assert (options.run, options.progress, options.to) == (run.root, run.export_events, run.export_dir)
    assert (options.checkpoint, options.dtype, options.adapter) == (80, "bfloat16", True)
    assert (options.push, options.public, options.answers) == ("me/x", True, 3)


def test_a_private_upload_is_private_whatever_the_config_says(run: RunDir) -> None:
    options = command._parser().parse_args(plan(run, push="me/x").argv(run)[1:])
    assert options.public is False
    assert command._parser().parse_args(plan(run).argv(run)[1:]).push is None


def test_an_export_is_followed_to_its_end(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(run.export_dir)
    play(monkeypatch, events=whole_story(folder), say="loading")
    run.export_events.write_text('{"type": "end", "exit_code": 1}\n')
    start_export(run, plan(run))
    follower = StoryFollower(run.export_events)
    until(lambda: follower.poll() and follower.story.end)
    story = follower.story
    assert [stage.name for stage in story.stages] == ["checkpoint", "policy", "write", "proof", "answers"]
    assert all(stage.ended is not None for stage in story.stages)
    assert story.path == folder
    assert [answer.after for answer in story.answers] == [answer["after"] for answer in ANSWERS]
    assert story.end is not None
    assert story.end.exit_code == 0
    until(lambda: not is_running(run))
    assert export_log(run).read_text() == "loading\n"
    found = exported_before(run)
    assert found is not None
    assert (found.path, found.step, found.proof, found.stops_at) == (folder, 300, PROOF, "<|im_end|>")


def test_another_app_sees_that_an_export_runs_and_may_not_cancel_it(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, wait=True)
    start_export(run, plan(run))
    process = exporting._ours.pop(run.root)
    try:
        assert is_running(run)
        assert not may_cancel(run)
        assert os.getsid(process.pid) == process.pid
        cancel(run)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert not is_running(run)


def test_cancelling_ends_the_export_that_was_started_here(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, wait=True, events=[{"type": "stage", "stage": "policy", "state": "start"}])
    start_export(run, plan(run))
    follower = StoryFollower(run.export_events)
    until(lambda: follower.poll() and follower.story.stages)
    assert may_cancel(run)
    cancel(run)
    until(lambda: follower.poll() and follower.story.end)
    assert follower.story.end is not None
    assert follower.story.end.code == "export.interrupted"
    until(lambda: not is_running(run))
    cancel(run)


def test_the_training_s_own_export_is_found(run: RunDir, tmp_path: Path) -> None:
    assert exported_before(run) is None
    folder = write_folder(tmp_path / "elsewhere", adapter=True)
    with EventWriter(run.events) as events:
        events.emit("export", path=str(folder), push=None, proof=None)
    found = exported_before(run)
    assert found is not None
    assert found.path == folder
    assert found.adapter
    assert found.bytes == 538_000_000


def test_a_folder_that_has_gone_is_no_export(run: RunDir) -> None:
    with EventWriter(run.events) as events:
        events.emit("export", path="/nowhere/at/all")
    assert exported_before(run) is None


def test_answers_are_about_a_folder(run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch)
    start_answers(run, tmp_path)
    until(lambda: not is_running(run))
    words = json.loads((run.root / "argv.json").read_text())
    assert words == [
        "answers",
        str(run.root),
        str(tmp_path),
        "--progress",
        str(run.export_events),
        "--count",
        "3",
    ]
    assert plan_of(run) is None


def test_answers_are_told_after_what_the_export_told(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(run.export_dir)
    problem = {"type": "warning", "code": "export.no_answers", "text": "no memory", "params": {}}
    failed = [event for event in whole_story(folder, "me/x") if event["type"] != "answers"][:-2]
    play(monkeypatch, events=[*failed, problem, {**whole_story(folder)[-1]}])
    asked = plan(run, push="me/x")
    assert start_export(run, asked)
    until(lambda: not is_running(run))
    before = story_of(run)
    assert [stage.ended is None for stage in before.stages] == [False] * 5 + [True]
    play(monkeypatch, events=whole_story(folder)[-4:])
    assert start_answers(run, folder)
    until(lambda: not is_running(run))
    story = story_of(run)
    assert (story.path, story.push, story.warnings) == (folder, "me/x", [])
    assert [stage.name for stage in story.stages][-2:] == ["push", "answers"]
    assert len(story.answers) == 3
    assert story.end is not None
    assert plan_of(run) == asked


def test_answers_that_have_just_been_asked_for_are_at_work(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.export_events.write_text('{"type": "end", "exit_code": 0}\n')
    play(monkeypatch, wait=True)
    assert start_answers(run, run.export_dir)
    assert exporting.is_busy(run)
    assert not start_answers(run, run.export_dir)
    assert not start_export(run, plan(run))


def test_an_export_that_another_app_started_since_is_seen(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch)
    start_export(run, plan(run))
    until(lambda: not is_running(run))
    ours = exporting._ours[run.root]
    play(monkeypatch, wait=True)
    start_export(run, plan(run))
    theirs, exporting._ours[run.root] = exporting._ours[run.root], ours
    try:
        assert is_running(run)
        assert not may_cancel(run)
        cancel(run)
        assert theirs.poll() is None
    finally:
        theirs.kill()
        theirs.wait()
    assert not is_running(run)


def test_what_was_asked_for_is_known_afterwards(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch)
    asked = plan(run, push="me/x", private=False)
    start_export(run, asked)
    assert plan_of(run) == asked


def test_a_folder_with_damaged_files_is_still_described(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "x")
    for name in ("dpo-tui.json", "tokenizer_config.json", "generation_config.json"):
        (folder / name).write_bytes(b"\xff{")
    found = result_of(folder)
    assert found is not None
    assert (found.step, found.bytes, found.proof, found.stops_at, found.chat) == (
        None,
        None,
        None,
        None,
        False,
    )


def test_a_file_that_begins_anew_begins_a_new_story(run: RunDir) -> None:
    follower = StoryFollower(run.export_events)
    run.export_events.write_text("".join(json.dumps(event) + "\n" for event in whole_story(run.export_dir)))
    assert follower.poll()
    assert follower.story.end is not None
    run.export_events.write_text('{"type": "stage", "stage": "policy", "state": "start"}\n')
    assert follower.poll()
    assert follower.story.end is None
    assert len(follower.story.stages) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["type", "stage", "state", "path", "answers", "exit_code", "code", "text", "params", "time"]
        ),
        JSON | st.sampled_from(["stage", "export", "answers", "warning", "end", "start"]),
    )
)
def test_events_of_any_shape_are_taken(event: dict[str, Any]) -> None:
    story = Story()
    story.take({"type": "stage", "stage": "write", "state": "start", "time": 1.0})
    story.take(event)
    assert story.stages[0].name == "write"


def test_of_two_apps_that_start_an_export_in_the_same_instant_one_is_told_that_it_goes_on(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, wait=True)
    monkeypatch.setattr(exporting, "_one_at_a_time", nullcontext())  # two apps share no lock of a process
    both_have_looked, is_busy = threading.Barrier(2), exporting.is_busy

    def looked(run: RunDir) -> bool:
        busy = is_busy(run)
        with suppress(threading.BrokenBarrierError):
            both_have_looked.wait(0.5)
        return busy

    monkeypatch.setattr(exporting, "is_busy", looked)
    with ThreadPoolExecutor(2) as apps:
        begun = list(apps.map(lambda _: start_export(run, plan(run)), range(2)))
    assert sorted(begun) == [False, True]


def test_an_app_that_dies_while_it_starts_an_export_keeps_nobody_from_it(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(monkeypatch, wait=True)
    monkeypatch.setattr(exporting, "_PATIENCE_SECONDS", 0.1)
    with RunLock(run.root / "export.lock"):
        assert start_export(run, plan(run)) is False
    assert start_export(run, plan(run)) is True
