"""The helper process that reads models and data for the wizard, asked in JSON lines: torch stays out of here."""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

import platformdirs

from engine.launch.local import ENGINE, supervisor_environment
from engine.process import ProcessId

Progress = Callable[[int, int | None], None]

LONGEST_LINE = 1 << 24
"""Most bytes of an answer: 16 MiB."""

_GRACE = 1.0
"""Seconds that the process gets to clean up after itself."""


class PreviewError(Exception):
    """What the helper process could not do, as an engine's error: `code`, the English `text`, `params`."""

    def __init__(self, code: str, text: str, params: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.params = params or {}


class Superseded(Exception):
    """A newer question of the same kind took this one's place: nobody waits for its answer."""


@dataclass(slots=True)
class _Question:
    """What was asked, and who waits for it."""

    kind: str
    asked: dict[str, Any]
    on_progress: Progress | None
    answer: asyncio.Future[dict[str, Any]] = field(default_factory=asyncio.Future)

    def hear(self, said: dict[str, Any]) -> None:
        """What the process says to it: how far it is, or its answer."""
        match said:
            case {"progress": {"done": int(done), "total": int() | None as total}}:
                if self.on_progress is not None:
                    self.on_progress(done, total)
            case {"answer": dict(answer)}:
                self.answer.set_result(answer)
            case {"error": {"code": str(code), "text": str(text), **more}}:
                self.fail(PreviewError(code, text, _table(more.get("params"))))
            case {"cancelled": True}:
                self.fail(Superseded())
            case _:
                self.fail(PreviewError("preview.failed", "The preview gave an answer that is none."))

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # seen: a question whose asker is gone is nobody's error


def preview_command() -> list[str]:
    """The argv of the helper process, which ends with this one."""
    own = ProcessId.own()
    return [*ENGINE, "preview", "--parent", f"{own.pid}:{own.start_time}"]


class PreviewClient:
    """One helper process, started by the first question; one that dies is started once more, and asked again."""

    def __init__(self, command: Callable[[], Sequence[str]] = preview_command) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._questions: dict[int, _Question] = {}
        self._last = 0
        self._died = False
        self._closed = False

    async def start(self) -> None:
        """Start the process before there is a question: its imports take seconds."""
        async with self._starting:
            if self._process is None and not self._closed:
                await self._spawn()

    async def ask(self, kind: str, on_progress: Progress | None = None, **asked: Any) -> dict[str, Any]:
        """The answer to a question: "model", "data", "pair" or "columns".

        Raises PreviewError, and Superseded when the same kind is asked again before the answer came.
        """
        self._last += 1
        number = self._last
        question = _Question(kind, {"id": number, "ask": kind, **asked}, on_progress)
        self._supersede(kind)
        self._questions[number] = question
        try:
            if self._process is None:
                await self.start()
            else:
                self._send(question)
            return await question.answer
        except asyncio.CancelledError:
            self._write({"id": number, "ask": "cancel", "of": number})
            raise
        finally:
            self._questions.pop(number, None)

    async def close(self) -> None:
        """End the process; whoever still waits is superseded."""
        self._closed = True
        for question in self._questions.values():
            question.fail(Superseded())
        if self._reading is not None:
            self._reading.cancel()
        if (process := self._process) is not None:
            self._process = None
            await _ended(process)

    def _supersede(self, kind: str) -> None:
        for question in self._questions.values():
            if question.kind == kind:
                question.fail(Superseded())

    async def _spawn(self) -> None:
        """Start the process and send it all that is asked and not answered."""
        log = _log()
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=supervisor_environment(os.environ),
                limit=LONGEST_LINE,
            )
        except OSError as error:
            self._fail_all(
                PreviewError("preview.died", f"The preview cannot start: {error.strerror or error}.")
            )
            return
        finally:
            if not isinstance(log, int):
                log.close()
        if self._closed:
            await _ended(process)
            return
        self._process = process
        self._reading = asyncio.create_task(self._read(process))
        for question in self._questions.values():
            self._send(question)

    def _send(self, question: _Question) -> None:
        if not question.answer.done():
            self._write(question.asked)

    def _write(self, asked: dict[str, Any]) -> None:
        """A line to the process; one that just died is noticed by its reader, who asks all again."""
        stdin = self._process.stdin if self._process else None
        if stdin is not None and not stdin.is_closing():
            stdin.write(json.dumps(asked, default=str).encode() + b"\n")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                self._heard(line)
        except (ValueError, OSError):  # a line without end: a process that is not to be trusted any more
            with suppress(ProcessLookupError):
                process.kill()
        await self._lost(process)

    async def _lost(self, process: asyncio.subprocess.Process) -> None:
        """The process is gone: start another one, unless that had been tried since it last answered.

        It is not killed: that would ask for its exit status before asyncio does, and lose it.
        """
        await process.wait()
        if self._closed or process is not self._process:
            return
        self._process = None
        if self._died or not self._questions:
            self._died = False
            self._fail_all(PreviewError("preview.died", _obituary(process.returncode), _status(process)))
            return
        self._died = True
        await self.start()

    def _fail_all(self, error: PreviewError) -> None:
        for question in self._questions.values():
            question.fail(error)

    def _heard(self, line: bytes) -> None:
        """One line of the process. What is none of the protocol's is not for us."""
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            return
        question = self._questions.get(said.get("id", 0)) if isinstance(said, dict) else None
        if question is not None and not question.answer.done():
            self._died = False
            question.hear(said)


def _status(process: asyncio.subprocess.Process) -> dict[str, Any]:
    return {"status": process.returncode}


def _obituary(status: int | None) -> str:
    """Why the process may have died; the kernel kills with 9 when memory runs out."""
    cause = "it was killed, perhaps for want of memory" if status == -9 else f"it ended with status {status}"
    return f"The process that reads models and data died: {cause}."


def _log() -> IO[bytes] | int:
    """Where the process writes what it has to say besides answers; the last one's is kept."""
    path = platformdirs.user_log_path("dpo-tui") / "preview.log"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path.open("wb")
    except OSError:
        return subprocess.DEVNULL


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Close the process's stdin, which ends it; kill it if it does not listen."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _GRACE)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
