"""A file of events for whoever follows a command from outside: it says how the command ended, whatever happens."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from engine.exits import CannotWriteError, EngineError, Exit
from engine.rundir.events import EventWriter
from engine.rundir.files import cannot_write, writing


def recorded(path: Path, work: Callable[[EventWriter], Exit], *, anew: bool = True) -> Exit:
    """The exit code of `work`, which writes into the file at `path`; the file's last event says how it ended.

    The file is a new one, unless `anew` is False: then what is there goes on.
    SIGTERM ends the work as an interrupt does. Raises what the work raises, once that is written down, and
    CannotWriteError when the file cannot be written.
    """
    with _held_back(), EventWriter(_fresh(path) if anew else path) as events:
        try:
            with _terminable():
                code = work(events)
        except BaseException as error:
            with suppress(CannotWriteError):  # the disk may be what failed
                _tell_end(events, error)
            raise
        events.end(code, "export.done", "done")
        return code


def _fresh(path: Path) -> Path:
    with writing(path):
        path.unlink(missing_ok=True)
    return path


@contextmanager
def _held_back() -> Iterator[None]:
    """Within it a SIGTERM waits: the file is there, so it must be said in it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _terminable() -> Iterator[None]:
    """Within it SIGTERM interrupts, once: what is cleaned up then is left in peace."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        signal.signal(signal.SIGTERM, before)


def _tell_end(events: EventWriter, error: BaseException) -> None:
    if isinstance(error, EngineError):
        events.end(error.exit, error.code, error.text, **error.params)
    elif isinstance(error, KeyboardInterrupt):
        events.end(Exit.INTERRUPTED, "export.interrupted", "stopped before its end")
    elif isinstance(error, OSError):
        told = cannot_write(Path(str(error.filename or "output")), error)
        events.end(told.exit, told.code, told.text, **told.params)
    elif out_of_memory(error):
        text = "there is too little memory for it: free some, or do it on a larger machine"
        events.end(Exit.TRAINING_FAILED, "export.out_of_memory", text)
    else:
        kind, problem = type(error).__name__, str(error)
        events.end(Exit.TRAINING_FAILED, "export.crashed", f"{kind}: {problem}", kind=kind, problem=problem)


def out_of_memory(error: BaseException) -> bool:
    """Whether a library found no memory: torch says so with an error of its own on a GPU, and in words on a CPU."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "allocate memory" in str(error))
    )
