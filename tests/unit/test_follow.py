"""Following a run: nothing is missed, nothing takes long, and a file that starts anew is followed anew."""

import time
from pathlib import Path

import pytest

from dpo_tui import follow
from dpo_tui.follow import Follower
from engine.launch.local import spawn_supervisor
from engine.rundir.control import Control
from engine.rundir.paths import RunDir
from engine.rundir.status import Status, write_status
from tests.fake_engine import supervisor
from tests.tui.fake_runs import make_run, step_event, write_events
from tests.waiting import until


def _catch_up(follower: Follower) -> int:
    """Poll until nothing is left; returns how many polls it took."""
    polls = 1
    while follower.poll().behind:
        polls += 1
    return polls


def test_a_finished_run_is_known_after_one_poll(tmp_path: Path) -> None:
    follower = Follower(make_run(tmp_path, total=20))
    changes = follower.poll()
    assert changes.events
    assert changes.status
    assert not changes.behind
    assert (follower.history.step, follower.status.state) == (20, "done")
    assert follower.record is not None
    assert not follower.poll()


def test_events_are_followed_as_they_are_written(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running", steps=3, total=9)
    follower = Follower(run)
    follower.poll()
    write_events(run, [step_event(4, 9)])
    assert follower.poll().events
    assert (follower.history.step, follower.history.total) == (4, 9)
    with run.events.open("a") as file:
        file.write('{"v":1,"time":1,"type":"step","step":5,')
    assert not follower.poll().events
    with run.events.open("a") as file:
        file.write('"loss":0.5}\nnot json\n\x00\n')
    assert follower.poll().events
    assert follower.history.step == 5


def test_a_file_that_starts_anew_is_followed_anew(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running", steps=8, total=9)
    follower = Follower(run)
    follower.poll()
    run.events.unlink()
    write_events(run, [step_event(1, 9)])
    assert follower.poll().events
    assert (follower.history.step, follower.history.saves) == (1, [])
    run.events.write_text("")
    follower.poll()
    assert follower.history.step == 0


def test_a_run_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    follower = Follower(RunDir(tmp_path / "later"))
    assert not follower.poll().events
    make_run(tmp_path, "later", total=5)
    follower.look_again()
    assert follower.poll().events
    assert follower.status.state == "done"


def test_the_status_is_not_read_with_every_poll(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(follow, "monotonic", lambda: now[0])
    run = make_run(tmp_path, state="running", steps=2, total=9)
    follower = Follower(run)
    follower.poll()
    write_status(run.status_json, Status(state="stopped", exit_code=5))
    assert not follower.poll().status
    now[0] += follow.STATUS_SECONDS
    assert follower.poll().status
    assert follower.status.state == "stopped"


def test_a_long_history_is_read_in_slices(tmp_path: Path) -> None:
    run = make_run(tmp_path, state="running", steps=1, total=40_000)
    write_events(run, [step_event(step, 40_000) for step in range(2, 20_001)])
    follower = Follower(run)
    began = time.perf_counter()
    assert follower.poll().behind
    assert (
        time.perf_counter() - began < 0.2
    )  # not the whole file; generous, for a machine that does other things
    assert 0 < follower.history.step < 20_000
    assert not follower.caught_up
    assert _catch_up(follower) > 1
    assert follower.history.step == 20_000
    assert follower.caught_up


def test_a_live_run_is_followed_to_its_end(tmp_path: Path) -> None:
    run = make_run(tmp_path, state=None, events=False)
    run.run_json.unlink()
    process = spawn_supervisor(run, owner=False, command=supervisor("--endless"))
    follower = Follower(run)
    try:
        until(lambda: follower.poll() and follower.history.step > 2)
        Control(run.control_dir).request_stop()
        until(lambda: (follower.poll(), follower.status.state == "stopped")[1])
        assert follower.history.end is not None
        assert follower.history.saves[-1].step == follower.history.step
    finally:
        process.kill()
        process.wait()
