"""An end to code that may never end: a chat template comes with a model, and anybody can have written it."""

import ctypes
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeUp(BaseException):
    """The time is over. No `Exception`, so that nothing on the way takes it for a failure it knows how to handle."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeUp` inside the block once it has run for so long.

    What the interpreter does in one go, such as multiplying a text, is not interrupted but ends first.
    """
    in_main = threading.current_thread() is threading.main_thread()
    with _alarm(seconds) if in_main else _raiser(seconds):
        yield


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """By a signal, which costs next to nothing and is only delivered to the main thread."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, stop)
    started = time.monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
        if left:  # somebody else's alarm: it is due at its own time, or now
            signal.setitimer(signal.ITIMER_REAL, max(1e-3, left - (time.monotonic() - started)), interval)


@contextmanager
def _raiser(seconds: float) -> Iterator[None]:
    """By another thread, which has the interpreter raise in this one."""
    lock = threading.Lock()
    state = {"done": False, "raised": False}
    here = ctypes.c_ulong(threading.get_ident())

    def stop() -> None:
        with lock:
            if not state["done"]:
                state["raised"] = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(here, ctypes.py_object(TimeUp))

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            state["done"] = True
        if state["raised"]:  # in the last moment, perhaps: let it arrive here, and nowhere later
            for _ in range(100):
                time.sleep(0)
