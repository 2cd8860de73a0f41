"""Small files that are either whole or not there, and the errors of a disk in a person's words."""

import errno
import json
import math
import numbers
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engine.exits import CannotWriteError

_HINTS = {
    errno.ENOSPC: "no space left on the disk; free some and resume",
    errno.EDQUOT: "the disk quota is used up; free some space and resume",
    errno.EFBIG: "the file is larger than this file system or the process limit allows",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
    errno.EEXIST: "something else is in its place",
    errno.ENOENT: "no such directory",
    errno.ENOTDIR: "a part of the path is no directory",
    errno.ENAMETOOLONG: "the path is too long",
    errno.EIO: "the disk failed",
    errno.ENOLCK: "the file system has no locks",
    errno.ESTALE: "the network file system lost the file",
}
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def writing(path: Path, needed: int | None = None) -> Iterator[None]:
    """Turn the failures of a disk inside the block into `CannotWriteError`.

    `path` is what is being written, `needed` the bytes it takes where known.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error, needed) from error


def cannot_write(path: Path, error: OSError, needed: int | None = None) -> CannotWriteError:
    """The error that names the path, what the disk said and, where space is the cause, the bytes needed and free."""
    hint = _HINTS.get(error.errno or 0, error.strerror or str(error))
    free = free_bytes(path) if error.errno in _FULL else None
    room = ""
    if free is not None:
        room = f" ({f'{needed:,} bytes needed, ' if needed is not None else ''}{free:,} bytes free)"
    text = f"{path}: cannot write: {hint}{room}"
    case = "" if free is None else "full"
    return CannotWriteError(
        "disk.cannot_write", text, path=str(path), hint=hint, needed=needed, free=free, case=case
    )


def no_room(path: Path) -> str:
    """What is left to say of a process that could not even write why it could not write."""
    free = free_bytes(path)
    room = "" if free is None else f" ({free:,} bytes free)"
    return f"{path}: cannot write: no space left on the disk, or no permission{room}; see to that and resume"


def free_bytes(path: Path) -> int | None:
    """Bytes free for this user on the file system of `path` or of its nearest existing parent."""
    for place in (path, *path.parents):
        with suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def write_whole(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Replace `path` by `data` (mode 0600): readers see the old file or the new one, never a part.

    With `sync` it also survives a power cut. One process at a time may write a path. Raises CannotWriteError.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with writing(path, len(data)):
            write_synced(temporary, data, sync=sync)
            os.replace(temporary, path)
            if sync:
                sync_path(path.parent)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def write_synced(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file (mode 0600) and, with `sync`, flush it to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def overwrite(path: Path, data: bytes) -> None:
    """Put `data` into an existing file's place: the last resort where there is no room for a new file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
    finally:
        os.close(descriptor)


def sync_path(path: Path) -> None:
    """Flush a file's bytes, or a directory's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any, *, sync: bool = True) -> None:
    """Replace `path` by JSON that people can read as well."""
    write_whole(path, as_json(value), sync=sync)


def as_json(value: Any) -> bytes:
    """Indented JSON with a newline at its end. Numbers that are not finite become null, as JSON has no word for
    them; paths and other objects become their text.
    """
    return json.dumps(plain(value), indent=2, allow_nan=False).encode() + b"\n"


def plain(value: Any) -> Any:
    """`value` in JSON's own types: so that no params of an error can keep the error from being written."""
    match value:
        case None | str() | bool():
            return value
        case numbers.Integral():
            return int(value)
        case numbers.Real():
            number = float(value)
            return number if math.isfinite(number) else None
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(item) for item in value]
        case _:
            return str(value)


def number(value: Any) -> float | None:
    """What JSON has as a number, as a float; None for anything else, and for what no float can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`; None when the file is missing, unreadable or something else."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
