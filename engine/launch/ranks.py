"""The training processes of one machine: started, watched, ended, and none left behind."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from engine.process import reap_strays
from engine.rundir.files import writing
from engine.rundir.paths import RunDir

RankCommand = Callable[[RunDir, int, int, int], tuple[list[str], dict[str, str]]]


@dataclass(frozen=True, slots=True)
class RankExit:
    """How a rank ended: `code` is its exit code, or minus the signal that killed it."""

    rank: int
    code: int


class Ranks(Protocol):
    """The training processes of a run, as its supervisor sees them."""

    @property
    def running(self) -> int:
        """How many have not ended, or whose end was not told yet."""
        ...

    def start(self, environment: Mapping[str, str]) -> None:
        """Start all of them. Raises OSError, with those already started still running."""
        ...

    def ended(self) -> list[RankExit]:
        """Those that ended since the last call, what decides first."""
        ...

    def send(self, number: signal.Signals) -> None:
        """Send a signal to every rank that runs."""
        ...

    def reap_strays(self) -> None:
        """Collect what ended and is no rank."""
        ...


class LocalRanks:
    """The ranks of this machine, each in a process group of its own, so that what it started ends with it."""

    def __init__(self, run: RunDir, world: int, command: RankCommand) -> None:
        self._run = run
        self._world = world
        self._command = command
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, environment: Mapping[str, str]) -> None:
        """Start all of them. Raises OSError, with those already started still running."""
        port = free_port() if self._world > 1 else 0
        for rank in range(self._world):
            argv, extra = self._command(self._run, rank, self._world, port)
            self._running[rank] = self._spawn(rank, argv, {**environment, **extra})

    def ended(self) -> list[RankExit]:
        """The ranks that ended since the last call, those killed by a signal first."""
        exits = [ended for rank in list(self._running) if (ended := self._reap(rank)) is not None]
        return sorted(exits, key=lambda ended: (ended.code >= 0, ended.rank))

    @property
    def running(self) -> int:
        """How many have not ended."""
        return len(self._running)

    def reap_strays(self) -> None:
        """Collect what ended and is no rank, as the first process of a container has to."""
        reap_strays({process.pid for process in self._running.values()})

    def send(self, number: signal.Signals) -> None:
        """Send a signal to every rank that runs, and to what it started."""
        for process in self._running.values():
            _signal_group(process.pid, number)

    def _spawn(self, rank: int, argv: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        log = self._run.rank_log(rank)
        with writing(log):
            log.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            return subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=environment,
                process_group=0,
                close_fds=True,
            )
        finally:
            os.close(descriptor)

    def _reap(self, rank: int) -> RankExit | None:
        """Collect a rank that ended. Its group goes first, while its pid cannot yet be anybody else's."""
        process = self._running[rank]
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        _signal_group(process.pid, signal.SIGKILL)
        del self._running[rank]
        return RankExit(rank, process.wait())


def free_port() -> int:
    """A port of this machine that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
