"""What the screens and the list of runs say while a run saves its last checkpoint and exports, and how long it took."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dpo_tui.comparing import values
from dpo_tui.follow import Follower
from dpo_tui.runs import show
from engine.rundir.paths import RunDir
from engine.rundir.status import read_status, write_status
from tests.tui.driving import frame, shows, wait_for
from tests.tui.fake_runs import NOW, make_run, phase, step_event, write_events
from tests.tui.home_app import listing
from tests.tui.monitoring import monitoring, stand_still

pytestmark = pytest.mark.usefixtures("still_clock")

AFTER_THE_LAST_STEP: dict[str, list[dict[str, Any]]] = {
    "saving": [phase("save", "start")],
    "exporting": [phase("train", "end", 100, 100), phase("export", "start")],
    "verifying": [
        phase("train", "end", 100, 100),
        phase("export", "start"),
        phase("export", "progress", 3, 5),
    ],
}


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)


def trained(runs_dir: Path, *events: dict[str, Any]) -> RunDir:
    """A run that has done its last step and has not ended."""
    run = make_run(runs_dir, "tiny", "running", steps=100, save_every=1000)
    write_events(run, events)
    return run


def resumed(runs_dir: Path) -> RunDir:
    """A run of two attempts: 40 steps at two seconds each, an hour of nothing, and 60 more."""
    run = make_run(runs_dir, "twice", "done", heard=NOW - 10, events=False)
    first = [phase("train", "start", 0, 100), *(step_event(step) for step in range(1, 41))]
    again = [
        {"type": "end", "exit_code": 5, "code": "run.stopped", "params": {}, "text": ""},
        phase("tokenize", "start", after=3600.0),
        {"type": "resume", "attempt": 2, "from_step": 40},
        phase("train", "start", 40, 100),
        *(step_event(step) for step in range(41, 101)),
        phase("train", "end", 100, 100),
    ]
    write_events(run, [*first, *again])
    status = read_status(run.status_json)
    assert status is not None
    write_status(run.status_json, replace(status, step=100, total=100))
    return run


@pytest.mark.parametrize("word", AFTER_THE_LAST_STEP)
async def test_the_monitor_says_what_goes_on_after_the_last_step_and_no_time_left(
    tmp_path: Path, word: str
) -> None:
    async with monitoring(trained(tmp_path, *AFTER_THE_LAST_STEP[word])) as pilot:
        first = frame(pilot.app).splitlines()[0]
        assert f"● {word}" in first
        assert "left" not in first
        assert "training" not in first


@pytest.mark.parametrize("word", AFTER_THE_LAST_STEP)
async def test_the_list_of_runs_says_what_goes_on_after_the_last_step(runs_dir: Path, word: str) -> None:
    trained(runs_dir, *AFTER_THE_LAST_STEP[word])
    async with listing(runs_dir, 1, (100, 30)) as (pilot, app):
        await wait_for(pilot, lambda: f"● {word}" in frame(app))
        assert "left" not in frame(app)


@pytest.mark.parametrize("word", AFTER_THE_LAST_STEP)
def test_the_runs_verb_says_what_goes_on_after_the_last_step(
    tmp_path: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(tmp_path, *AFTER_THE_LAST_STEP[word])
    show(tmp_path, json=False)
    assert word in capsys.readouterr().out


async def test_a_resumed_run_shows_the_time_of_all_its_attempts(tmp_path: Path) -> None:
    async with monitoring(resumed(tmp_path)) as pilot:
        await shows(pilot, "100 steps trained in 3m 20s, in 2 attempts", "train 3m 20s")


def test_resumed_runs_are_compared_by_the_time_of_all_their_attempts(tmp_path: Path) -> None:
    runs = [resumed(tmp_path), make_run(tmp_path, "once", "done")]
    followers = [Follower(run) for run in runs]
    for follower in followers:
        follower.poll(10.0)
    rows = dict(values(followers))
    assert rows["time trained"] == ("3m 20s", "3m 32s")
    assert rows["attempts"] == ("2", "1")
    assert "attempts" not in dict(values(followers[1:]))
