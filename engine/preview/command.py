"""`python -m engine preview`: answers the wizard's questions until its stdin closes.

Free of torch until it listens: it can be told to stop, and dies with its parent, from its first moment on.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, BinaryIO

from engine.arguments import Parser
from engine.exits import Exit, StopRequested
from engine.preview.inbox import Inbox, read_requests
from engine.preview.protocol import READY, Line, Request, answered, cancelled, encoded, failed, progressed
from engine.preview.scratch import scratch_folder
from engine.process import parent_death_signal, process_id

if TYPE_CHECKING:
    from engine.preview.answers import Answers

GRACE_SECONDS = 5.0
"""From the end of stdin until a library that does not come back is left behind."""

PROGRESS_SECONDS = 0.1


def main(argv: Sequence[str]) -> Exit:
    """Answer until nobody asks any more. Raises CannotWriteError when there is no room for temporary files."""
    parser = Parser(prog="python -m engine preview", description="Answer questions, one JSON object a line.")
    parser.add_argument("--parent", type=process_id, metavar="PID:START", help="whose death ends it")
    parent_death_signal(parser.parse_args(argv).parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the app's children too
    questions, out = _own_streams()
    tell = _teller(out)
    inbox, ended = Inbox(tell), Event()
    with scratch_folder() as scratch:
        Thread(target=_listen, args=(questions, inbox, tell, ended, scratch), daemon=True).start()
        try:
            _answer_all(inbox, tell, scratch)
        finally:
            ended.set()
    return Exit.DONE


def _own_streams() -> tuple[BinaryIO, BinaryIO]:
    """Stdin and stdout for the protocol alone: whatever a library reads is empty, and what it prints is on stderr."""
    questions, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    sys.stdout.flush()
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    try:
        os.dup2(2, 1)
    except OSError:  # closed
        os.dup2(nothing, 1)
    return questions, out


def _teller(out: BinaryIO) -> Callable[[Line], None]:
    """Writes lines, each whole, from any thread; when nobody reads them, the end of stdin is near."""
    lock = Lock()

    def tell(line: Line) -> None:
        data = memoryview(encoded(line))
        with lock, suppress(OSError):
            while data:
                data = data[out.write(data) :]

    return tell


def _listen(
    questions: BinaryIO, inbox: Inbox, tell: Callable[[Line], None], ended: Event, scratch: Path
) -> None:
    with suppress(OSError):
        read_requests(questions, inbox, tell)
    inbox.close()
    if not ended.wait(GRACE_SECONDS):
        shutil.rmtree(scratch, ignore_errors=True)
        os._exit(Exit.DONE)


def _answer_all(inbox: Inbox, tell: Callable[[Line], None], scratch: Path) -> None:
    from engine.preview.answers import Answers

    answers = Answers(scratch)
    tell(READY)
    while request := inbox.take():
        _answer(request, answers, tell)


def _answer(request: Request, answers: "Answers", tell: Callable[[Line], None]) -> None:
    """One request to its last line. Whatever goes wrong is told, and the next one finds this process well."""
    try:
        line = answered(request, answers.answer(request, _progress_of(request, tell)))
        encoded(line)
    except StopRequested:
        line = cancelled(request)
    except (Exception, SystemExit) as error:
        line = failed(request.id, error)
    tell(cancelled(request) if request.cancelled else line)


def _progress_of(request: Request, tell: Callable[[Line], None]) -> Callable[[int, int | None], None]:
    """Tells how far a request is, at most once in `PROGRESS_SECONDS`."""
    last = 0.0

    def progress(done: int, total: int | None) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            tell(progressed(request, done, total))

    return progress
