"""Processes by pid and start time: a pid alone can belong to somebody else by now. Linux only (`/proc`)."""

import ctypes
import os
import signal
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process on this machine since its boot: the pid, and when it started (seconds after boot)."""

    pid: int
    start_time: float

    @classmethod
    def own(cls) -> "ProcessId":
        """The calling process."""
        started = start_time(os.getpid())
        assert started is not None, "/proc does not show this process"
        return cls(os.getpid(), started)

    def alive(self) -> bool:
        """Whether that very process still runs."""
        return is_alive(self.pid, self.start_time)


def process_id(text: str) -> ProcessId:
    """The process that an argument names as PID:START. Raises ValueError."""
    pid, _, started = text.partition(":")
    return ProcessId(int(pid), float(started))


def start_time(pid: int) -> float | None:
    """Seconds from boot to the start of a process; None when it is gone or a zombie.

    Counted from boot, so that setting the clock does not turn a live process into another one.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()  # the name before may hold anything, brackets too
    return None if state in "ZX" else int(fields[18]) / _TICKS


def is_alive(pid: int, started: float | None) -> bool:
    """Whether the process with this pid and start time runs; without a start time, whether the pid does."""
    now = start_time(pid)
    return now is not None and (started is None or abs(now - started) < 0.5 / _TICKS)


def reap_strays(own: Collection[int]) -> None:
    """Collect ended processes other than `own`, where this is the first process of a container.

    There the kernel gives it every process whose parent died; uncollected, each would stay as a zombie.
    """
    if os.getpid() != 1:
        return
    with suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in own:
                return  # whoever started it collects it; the others are found by the next call
            os.waitpid(ended.si_pid, 0)


def parent_death_signal(guardian: ProcessId | None = None) -> None:
    """Have the kernel kill this process when its parent dies, and exit at once if it is already gone.

    `guardian` is the process that must still live, the supervisor; without one, the parent must not change
    while the signal is set up. Call it first thing, from the main thread.
    """
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent or (guardian is not None and not guardian.alive()):
        sys.exit("the supervisor of this process is gone")


def leave(code: int) -> NoReturn:
    """End this process with that exit code, at once.

    Everything is written: nothing of a library's threads and caches is waited for, and none can abort what is over.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, AttributeError):  # full, or closed
            stream.flush()
    os._exit(code)
