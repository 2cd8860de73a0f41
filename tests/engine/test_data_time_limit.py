"""An end to code that never ends: in whatever thread, past whatever it catches, and nowhere later."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

import pytest

from engine.data.encoding.time_limit import TimeUp, time_limit

SOON = 0.05
LATE = 20.0


def in_main(work: Callable[[], None]) -> None:
    work()


def in_another(work: Callable[[], None]) -> None:
    """Runs it in a thread of its own, and raises here what it raises there."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(LATE)
    assert not thread.is_alive()
    if raised:
        raise raised[0]


THREADS = pytest.mark.parametrize("within", [in_main, in_another])


def busy(until: float = LATE) -> None:
    """Works until the time is over, or long enough for the test to fail."""
    end = time.monotonic() + until
    while time.monotonic() < end:
        pass


@THREADS
def test_what_takes_too_long_is_interrupted(within: Callable[[Callable[[], None]], None]) -> None:
    def work() -> None:
        with time_limit(SOON):
            busy()

    started = time.monotonic()
    with pytest.raises(TimeUp):
        within(work)
    assert time.monotonic() - started < LATE / 2


@THREADS
def test_what_catches_every_exception_does_not_catch_this(
    within: Callable[[Callable[[], None]], None],
) -> None:
    def work() -> None:
        with time_limit(SOON):
            try:
                busy()
            except Exception:
                return

    with pytest.raises(TimeUp):
        within(work)


@THREADS
def test_what_ends_in_time_is_not_interrupted_later(within: Callable[[Callable[[], None]], None]) -> None:
    def work() -> None:
        for _ in range(50):
            with time_limit(SOON):
                pass
        busy(3 * SOON)

    within(work)


@THREADS
def test_what_ends_at_the_last_moment_is_interrupted_inside_or_not_at_all(
    within: Callable[[Callable[[], None]], None],
) -> None:
    outside: list[str] = []

    def work() -> None:
        for _ in range(200):
            try:
                with time_limit(1e-3):
                    busy(1e-3)
            except TimeUp:
                pass
            try:
                busy(1e-4)
            except TimeUp:
                outside.append("late")

    within(work)
    assert outside == []


def test_an_alarm_that_was_set_before_is_still_due() -> None:
    rung = threading.Event()

    def ring(_number: int, _frame: FrameType | None) -> None:
        rung.set()

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, SOON)
        with time_limit(LATE):
            busy(SOON / 5)
        assert signal.getsignal(signal.SIGALRM) is ring
        assert rung.wait(LATE)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
