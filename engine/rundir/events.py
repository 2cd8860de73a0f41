"""The run's events: one JSON object a line, written by rank 0, read by everybody."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, Self

from engine.rundir.files import cannot_write, plain
from engine.rundir.tail import Tail

VERSION = 1

PhaseName = Literal["download", "tokenize", "reference", "compile", "train", "eval", "save", "export"]
PhaseState = Literal["start", "progress", "end"]

_BLOCK = 1 << 16


class EventWriter:
    """Appends events, each line whole or not at all. Only rank 0 may hold one.

    Opening cuts a last line that a killed writer left unfinished. Every event reaches the kernel before
    `emit` returns, so a killed process loses none. Raises CannotWriteError when the disk refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            cut_torn_line(self._descriptor)
        except OSError as error:
            raise cannot_write(path, error) from error

    def emit(self, type: str, **fields: Any) -> None:  # noqa: A002  (the event's own key)
        """Append one event. Numbers that are not finite become null: JSON has no word for them."""
        event = {"v": VERSION, "time": round(time.time(), 3), "type": type, **fields}
        self._append(json.dumps(plain(event), allow_nan=False).encode() + b"\n")

    def phase(
        self, phase: PhaseName, state: PhaseState, done: int | None = None, total: int | None = None
    ) -> None:
        """Say that a part of the run starts, is at `done` of `total`, or ends."""
        self.emit("phase", phase=phase, state=state, done=done, total=total)

    def warning(self, code: str, text: str, **params: Any) -> None:
        """Say something the person should know; the run goes on."""
        self.emit("warning", code=code, params=params, text=text)

    def end(self, exit_code: int, code: str, text: str, **params: Any) -> None:
        """The last word of an attempt: its exit code and the reason for it."""
        self.emit("end", exit_code=int(exit_code), code=code, params=params, text=text)

    def close(self) -> None:
        """Release the file; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        """Write one line; when the disk is full take back the part that went in, so the next one is whole."""
        before = os.fstat(self._descriptor).st_size
        try:
            view = memoryview(line)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            os.ftruncate(self._descriptor, before)
            raise cannot_write(self._path, error, len(line)) from error


class NoEvents(EventWriter):
    """Takes events and writes none: what every rank but the first holds."""

    def __init__(self) -> None:
        self._descriptor = -1

    def emit(self, type: str, **fields: Any) -> None:  # noqa: A002
        """Nothing."""


def cut_torn_line(descriptor: int) -> None:
    """Truncate the open file after its last newline: what follows was never finished."""
    end = os.fstat(descriptor).st_size
    keep = complete_bytes(descriptor, end)
    if keep != end:
        os.ftruncate(descriptor, keep)


def complete_bytes(descriptor: int, end: int) -> int:
    """The length of the complete lines within the open file's first `end` bytes, read backwards in blocks."""
    while end > 0:
        start = max(0, end - _BLOCK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def complete_size(path: Path) -> int:
    """The bytes of a file's complete lines: where a reader starts that wants only what is still to come."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return complete_bytes(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def read_events(path: Path, offset: int = 0) -> Iterator[dict[str, Any]]:
    """The complete events of a file from `offset` on, in order; a missing file is empty."""
    tail = Tail(path, offset)
    while batch := tail.read():
        yield from batch


def effective_steps(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The step events that count: after a `resume` the steps beyond its `from_step` never happened."""
    steps: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "resume":
            steps = forget(steps, event)
        elif event["type"] == "step" and step_of(event) is not None:
            steps.append(event)
    return steps


def forget(events: list[dict[str, Any]], resume: dict[str, Any]) -> list[dict[str, Any]]:
    """The events that stay after a `resume`: those up to its `from_step`."""
    from_step = resume.get("from_step")
    if not isinstance(from_step, int):
        return events
    return [event for event in events if (step_of(event) or 0) <= from_step]


def step_of(event: dict[str, Any]) -> int | None:
    """The event's step, or None when it has none that is a whole number."""
    step = event.get("step")
    return step if isinstance(step, int) and not isinstance(step, bool) else None
