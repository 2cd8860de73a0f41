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
    """Holds a run's lock from `with` to its end. Raises UsageError when another process holds it."""

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
        with writing(self._path):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _take(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True


def is_locked(path: Path) -> bool:
    """Whether a supervisor holds the lock. Takes it for a moment: that is why `RunLock` has patience."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _take(descriptor)
    finally:
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
