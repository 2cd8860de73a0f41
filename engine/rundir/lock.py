"""One supervisor a run: a lock that the kernel releases when its holder dies, however it dies."""

import fcntl
import os
import time
from pathlib import Path
from typing import Self

from engine.exits import UsageError
from engine.rundir.files import writing

_PATIENCE_SECONDS = 1.0
_PAUSE_SECONDS = 0.05


class RunLock:
    """Holds a run's lock from `with` to its end.

    Raises UsageError when another process holds it, and CannotWriteError where the file system has no locks.
    """

    def __init__(self, path: Path, patience: float = _PATIENCE_SECONDS) -> None:
        self._path = path
        self._patience = patience
        self._descriptor = -1

    def __enter__(self) -> Self:
        deadline = time.monotonic() + self._patience
        while not self._try():
            if time.monotonic() >= deadline:
                raise UsageError(
                    "run.locked",
                    f"{self._path.parent}: another process is running it",
                    run=str(self._path.parent),
                )
            time.sleep(_PAUSE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def _try(self) -> bool:
        taken = False
        with writing(self._path):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                taken = _take(descriptor)
            finally:
                if not taken:
                    os.close(descriptor)
        if taken:
            self._descriptor = descriptor
        return taken


def is_locked(path: Path) -> bool:
    """Whether a supervisor is known to hold the lock: where the file system has no locks, nobody is.

    Takes it for a moment: that is why `RunLock` has patience.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _take(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    """Whether the lock is ours now. Raises OSError where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
