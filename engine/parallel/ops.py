"""What DeepSpeed compiles for processes that share a CPU, built before any of them waits for it.

DeepSpeed builds it when processes first meet, each of them, under a lock file that a killed build leaves behind and
every later one waits for without end. Here one process builds, under a lock that dies with it.

    python -m engine.parallel.ops
"""

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
import torch

from engine.exits import EnvironmentUnfitError

NAME = "deepspeed_shm_comm"
STALE = 600.0
"""Seconds after which nobody can still be building: it takes one or two minutes."""


def build_for_cpu() -> None:
    """Compile it if it is not there. Nothing to do on a GPU. Raises EnvironmentUnfitError."""
    if torch.cuda.is_available():
        return
    from deepspeed.accelerator import get_accelerator

    builder = get_accelerator().create_op_builder("ShareMemCommBuilder")
    if builder is None:
        return
    with _alone():
        remove_stale_lock(build_folder())
        try:
            builder.load(verbose=False)
        except Exception as error:  # whatever a tool chain can fail with
            line = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise EnvironmentUnfitError(
                "launch.no_ops",
                f"DeepSpeed cannot compile what its processes on a CPU talk by: {line}. Install a C++ compiler (g++) "
                'and ninja, or set launch.strategy = "ddp"',
                detail=line,
            ) from error


def build_folder() -> Path:
    """Where torch keeps what it has compiled of it."""
    from torch.utils.cpp_extension import _get_build_directory

    return Path(_get_build_directory(NAME, verbose=False))


def remove_stale_lock(folder: Path) -> bool:
    """Remove the lock of a build that was killed; returns whether there was one."""
    age = lock_age(folder)
    stale = age is not None and age > STALE
    if stale:
        (folder / "lock").unlink(missing_ok=True)
    return stale


def lock_age(folder: Path) -> float | None:
    """Seconds since a build in `folder` took its lock; None where none has it."""
    try:
        return max(0.0, time.time() - (folder / "lock").stat().st_mtime)
    except OSError:
        return None


@contextmanager
def _alone() -> Iterator[None]:
    """One of this program's processes at a time; the kernel takes the lock from one that dies."""
    folder = Path(platformdirs.user_cache_dir("dpo-tui"))
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "ops.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    build_for_cpu()
    sys.stdout.flush()
