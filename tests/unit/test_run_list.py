"""The list of runs: how each stands, its curve, and what it costs to read many."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dpo_tui.run_curve import READ_BYTES, read_curve
from dpo_tui.run_list import RunList, RunRow
from engine.exits import UsageError
from engine.rundir.status import Reason, read_status, write_status
from tests.tui.fake_runs import NOW, make_run, phase, step_event, write_events


def _by_name(rows: list[RunRow]) -> dict[str, RunRow]:
    return {row.name: row for row in rows}


def test_live_runs_come_first_and_then_the_latest(tmp_path: Path) -> None:
    make_run(tmp_path, "old", "done", heard=NOW - 900)
    make_run(tmp_path, "new", "failed", heard=NOW - 5)
    make_run(tmp_path, "live", "running", heard=NOW - 2000)
    assert [row.name for row in RunList(tmp_path).read()] == ["live", "new", "old"]


def test_a_row_says_how_the_run_stands(tmp_path: Path) -> None:
    reason = Reason("train.out_of_memory", "out of memory")
    make_run(tmp_path, "qwen", "failed", steps=37, total=900, reason=reason)
    row = RunList(tmp_path).read()[0]
    assert (row.state, row.step, row.total, row.reason) == ("failed", 37, 900, reason)
    assert not row.live
    assert row.host is None


def test_margins_are_there_before_any_curve_is_read(tmp_path: Path) -> None:
    make_run(tmp_path, "done", "done", total=100)
    row = RunList(tmp_path).read()[0]
    assert row.margin is not None
    assert row.accuracy is not None
    assert not row.curve.points


def test_a_curve_is_read_once_and_again_when_the_run_went_on(tmp_path: Path) -> None:
    run = make_run(tmp_path, "live", "running", steps=20)
    runs = RunList(tmp_path)
    first = list(runs.read_curves(runs.read()))
    assert [row.curve.points[-1].step for row in first] == [20]
    assert list(runs.read_curves(runs.read())) == []
    write_events(run, [step_event(21)])
    assert [row.curve.points[-1].step for row in runs.read_curves(runs.read())] == [21]
    assert runs.read()[0].curve.points[-1].step == 21


def test_a_finished_run_that_goes_on_is_seen_as_live(tmp_path: Path) -> None:
    run = make_run(tmp_path, "again", "stopped", live=True)
    runs = RunList(tmp_path)
    assert runs.read()[0].state == "stopped"
    status = read_status(run.status_json)
    assert status is not None
    write_status(run.status_json, replace(status, state="running", exit_code=None))
    assert runs.read()[0].state == "running"


def test_a_run_whose_supervisor_is_gone_has_failed(tmp_path: Path) -> None:
    make_run(tmp_path, "lost", "running", live=False)
    row = RunList(tmp_path).read()[0]
    assert row.state == "failed"
    assert row.reason is not None
    assert row.reason.code == "run.orphaned"


def test_damaged_directories_are_listed_as_such(tmp_path: Path) -> None:
    make_run(tmp_path, "no-config").config.unlink()
    make_run(tmp_path, "bad-status").status_json.write_text('{"state": ')
    make_run(tmp_path, "bad-summary").summary_json.write_bytes(b"\xff[")
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").write_text("x")
    rows = _by_name(RunList(tmp_path).read())
    assert rows.keys() == {"no-config", "bad-status", "bad-summary"}
    assert rows["no-config"].problem == "no_config"
    assert rows["bad-status"].problem == "bad_status"
    assert (rows["bad-summary"].state, rows["bad-summary"].margin) == ("done", None)


def test_numbers_that_no_float_holds_are_none(tmp_path: Path) -> None:
    run, huge = make_run(tmp_path, "odd", "done"), "1" + "0" * 400
    run.status_json.write_text(f'{{"state": "done", "heartbeat": {huge}, "step": {huge}, "total": {huge}}}')
    run.summary_json.write_text(f'{{"train": {{"rewards/margins": {huge}, "rewards/accuracies": 1e999}}}}')
    (row,) = RunList(tmp_path).read()
    assert (row.state, row.step, row.total, row.margin, row.accuracy) == ("done", 0, None, None, None)


def test_events_of_any_shape_are_no_curve_and_no_crash(tmp_path: Path) -> None:
    run = make_run(tmp_path, "odd", "running", steps=2)
    lines = [
        b"\xff\xfe",
        b"[1]",
        b'{"type": "step"}',
        b'{"type": "step", "step": true, "loss": 1}',
        b'{"type": "step", "step": 3, "loss": "x", "rewards/margins": null, "time": "soon"}',
        b'{"type": "step", "step": 4, "loss": 1e999, "rewards/margins": %d}' % 10**400,
        b'{"type": "resume", "from_step": null}',
    ]
    with run.events.open("ab") as file:
        file.write(b"\n".join(lines) + b"\n" + b'{"type": "st')
    curve = read_curve(run.events)
    assert [point.step for point in curve.points] == [1, 2, 3, 4]
    assert curve.points[-1].margin is None
    assert len(curve.margins()) == 2
    assert curve.trend() in (-1, 0, 1)


def test_an_unreadable_directory_is_an_error_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    assert RunList(tmp_path / "none").read() == []
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="--runs names another"):
        RunList(tmp_path / "file").read()


def test_runs_from_elsewhere_are_listed_once(tmp_path: Path) -> None:
    own = make_run(tmp_path / "runs", "own")
    other = make_run(tmp_path / "others", "other", host="node7", launcher="slurm", job_id="81234")
    rows = _by_name(RunList(tmp_path / "runs").read([other.root, own.root, tmp_path / "gone"]))
    assert rows.keys() == {"own", "other"}
    assert (rows["other"].host, rows["other"].job_id) == ("node7", "81234")


def test_the_curve_of_a_long_run_covers_all_of_it(tmp_path: Path) -> None:
    run = make_run(tmp_path, "long", "running", steps=0)
    write_events(run, [phase("train", "start", 0, 5000), *(step_event(n, 5000) for n in range(1, 5001))])
    assert run.events.stat().st_size > 10 * READ_BYTES
    points = read_curve(run.events).points
    assert points[-1].step == 5000
    steps = [point.step for point in points]
    assert steps == sorted(set(steps))
    assert max(b - a for a, b in zip([0, *steps], steps, strict=False)) < 600


def test_a_resume_takes_back_the_steps_after_its_checkpoint(tmp_path: Path) -> None:
    run = make_run(tmp_path, "again", "running", steps=10)
    write_events(run, [{"type": "resume", "attempt": 2, "from_step": 6}, step_event(7)])
    assert [point.step for point in read_curve(run.events).points] == [1, 2, 3, 4, 5, 6, 7]


def test_time_left_comes_from_the_speed_of_the_last_steps(tmp_path: Path) -> None:
    run = make_run(tmp_path, "live", "running", steps=50, total=100)
    left = read_curve(run.events).seconds_left(100)
    assert left == pytest.approx(100, rel=0.2)
    assert read_curve(run.events).seconds_left(None) is None


def test_five_hundred_long_runs_are_listed_in_a_moment(tmp_path: Path) -> None:
    """Only the first of many reads costs; a refresh of ended runs opens no file."""
    run = make_run(tmp_path, "run-0", "done", total=50)
    lines = run.events.read_bytes()
    run.events.write_bytes(lines * (3_000_000 // len(lines)))
    for number in range(1, 500):
        root = tmp_path / f"run-{number}"
        root.mkdir()
        for file in (run.config, run.status_json, run.summary_json, run.run_json, run.events):
            os.link(file, root / file.name)
    runs = RunList(tmp_path)
    started = time.process_time()
    rows = runs.read()
    first = time.process_time() - started
    started = time.process_time()
    assert runs.read() == rows
    again = time.process_time() - started
    assert len(rows) == 500
    assert first < 1.5
    assert again < first / 2
    started = time.process_time()
    sharp = list(runs.read_curves(rows))
    assert len(sharp) == 500
    assert time.process_time() - started < 5
    assert json.loads(run.status_json.read_bytes())["step"] == sharp[0].step
