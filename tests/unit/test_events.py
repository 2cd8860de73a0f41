"""Writing events, and what counts of them."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.exits import CannotWriteError
from engine.rundir.events import EventWriter, complete_size, effective_steps, read_events


def test_an_event_is_one_line_with_version_time_and_type(tmp_path: Path) -> None:
    with EventWriter(tmp_path / "events.jsonl") as events:
        events.emit("step", step=1, loss=0.5, text="two\nlines \x1b]52;c;x\x07")
    line = (tmp_path / "events.jsonl").read_bytes()
    assert line.count(b"\n") == 1
    assert b"\x1b" not in line
    event = json.loads(line)
    assert (event["v"], event["type"], event["step"]) == (1, "step", 1)
    assert event["time"] > 1e9


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    with EventWriter(tmp_path / "events.jsonl") as events:
        events.emit("step", loss=float("nan"), nested={"a": [float("inf"), 1.0]})
    (event,) = read_events(tmp_path / "events.jsonl")
    assert event["loss"] is None
    assert event["nested"] == {"a": [None, 1.0]}


def test_values_that_json_does_not_know_are_written_as_what_they_mean(tmp_path: Path) -> None:
    with EventWriter(tmp_path / "events.jsonl") as events:
        events.end(3, "x", "y", path=tmp_path, loss=np.float32(0.5), row=np.int64(3), flag=True)
    (event,) = read_events(tmp_path / "events.jsonl")
    assert event["params"] == {"path": str(tmp_path), "loss": 0.5, "row": 3, "flag": True}


@pytest.mark.parametrize("size", [1, 70_000])
def test_opening_cuts_a_torn_last_line(tmp_path: Path, size: int) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"type": "a"}\n' + b"x" * size)
    with EventWriter(path) as events:
        events.emit("b")
    assert [event["type"] for event in read_events(path)] == ["a", "b"]
    assert len(path.read_bytes().splitlines()) == 2


def test_opening_cuts_a_file_that_is_one_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"type": "a"')
    assert complete_size(path) == 0
    EventWriter(path).close()
    assert path.read_bytes() == b""


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write = tmp_path / "events.jsonl", os.write

    def half(descriptor: int, data: memoryview) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[: len(data) // 2])

    with EventWriter(path) as events:
        events.emit("first")
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", half)
            with pytest.raises(CannotWriteError, match="bytes free"):
                events.emit("lost")
        events.emit("second")
    assert [event["type"] for event in read_events(path)] == ["first", "second"]
    assert path.read_bytes().count(b"\n") == 2


def test_a_directory_that_is_not_there_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(CannotWriteError, match="gone"):
        EventWriter(tmp_path / "gone" / "events.jsonl")


def test_steps_beyond_the_checkpoint_that_was_resumed_never_happened() -> None:
    events = [{"type": "step", "step": step, "loss": 1.0} for step in (1, 2, 3)]
    events += [{"type": "resume", "attempt": 2, "from_step": 1}]
    events += [{"type": "step", "step": step, "loss": 2.0} for step in (2, 3)]
    assert [(step["step"], step["loss"]) for step in effective_steps(events)] == [
        (1, 1.0),
        (2, 2.0),
        (3, 2.0),
    ]


def test_a_resume_from_the_start_forgets_everything() -> None:
    events = [{"type": "step", "step": 1}, {"type": "resume", "from_step": 0}, {"type": "step", "step": 1}]
    assert effective_steps(events) == [{"type": "step", "step": 1}]


@given(st.lists(st.integers(0, 6), max_size=5), st.integers(1, 6))
def test_effective_steps_ascend_however_often_a_run_was_resumed(resumes: list[int], length: int) -> None:
    events, step = [], 0
    for attempt, wanted in enumerate([*resumes, 0], start=1):
        for _ in range(length):
            step += 1
            events.append({"type": "step", "step": step})
        if attempt <= len(resumes):
            step = min(wanted, step)
            events.append({"type": "resume", "attempt": attempt, "from_step": step})
    assert [event["step"] for event in effective_steps(events)] == list(range(1, step + 1))
