"""Where a preview keeps pairs while it prepares them: a folder that goes with it, or that the next one removes.

A process killed by the kernel cleans nothing up; the lock on its folder is gone with it, in any container.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.rundir.files import writing

PREFIX = "dpo-preview-"
FRESH_SECONDS = 60
"""Younger folders are left alone: the lock may be about to be taken."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this process's own, and those of previews that were killed removed. Raises CannotWriteError."""
    _sweep(Path(tempfile.gettempdir()))
    with writing(Path(tempfile.gettempdir())):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _sweep(place: Path) -> None:
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if time.time() - folder.lstat().st_mtime > FRESH_SECONDS:
                _remove_abandoned(folder)


def _remove_abandoned(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
