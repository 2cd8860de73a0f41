"""Where an export goes: built beside its place, moved there whole, and never over somebody's files."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from engine.config.local import expanded
from engine.config.schema import Config
from engine.exits import UsageError
from engine.export.record import RECORD, recorded_files
from engine.rundir.files import cannot_write, free_bytes, sync_path, writing
from engine.rundir.paths import RunDir


def export_folder(run: RunDir, config: Config) -> Path:
    """Where the export of a run goes unless somebody says otherwise."""
    return Path(config.export.to) if config.export.to else run.export_dir


def require_target(path: Path) -> Path:
    """The absolute folder an export may be written to. Raises UsageError for one that it would destroy.

    Allowed: a new folder, an empty one, and an earlier export to which nothing was added.
    """
    target = expanded(path).resolve()
    if target in (Path(target.anchor), Path.home().resolve()):
        raise _refused(target, "root", "is a root or home directory")
    if (target / ".git").exists():
        raise _refused(target, "git", "is a git repository")
    if target.exists() and not target.is_dir():
        raise _refused(target, "file", "is a file")
    names = sorted(os.listdir(target)) if target.is_dir() else []
    files = recorded_files(target)
    if names and files is None:
        raise _refused(
            target, "full", f'is not empty, and no export of dpo-tui (it holds "{names[0]}")', names[0]
        )
    ours = {RECORD, *(PurePosixPath(file).parts[0] for file in files or ())}
    foreign = [name for name in names if name not in ours]
    if foreign:
        raise _refused(target, "added", f'is an earlier export to which "{foreign[0]}" was added', foreign[0])
    return target


def require_space(target: Path, needed: int) -> None:
    """Raises CannotWriteError before anything is written if the weights cannot fit there."""
    free = free_bytes(target)
    if free is not None and free < needed:
        raise cannot_write(target, OSError(28, "No space left on device"), needed)


@contextmanager
def reserved(target: Path) -> Iterator[None]:
    """One export at a time goes to a folder. Raises UsageError while another process's does.

    The kernel lets go of the lock when its holder dies, however it dies.
    """
    lock = _beside(target, "lock")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(lock)
    if descriptor is None:
        raise UsageError(
            "export.busy",
            f"{target}: another export is being written there. Wait for its end, or choose another folder with --to.",
            path=str(target),
        )
    try:
        _put_back(target)
        yield
    finally:
        with suppress(OSError):
            lock.unlink()  # while it is still held: whoever opened it meanwhile looks again
        os.close(descriptor)


def _locked(lock: Path) -> int | None:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), lock.stat()):
                return descriptor
        os.close(descriptor)


def _put_back(target: Path) -> None:
    """An earlier export that was moved aside, and nothing came into its place: by a kill, or by a disk's refusal."""
    replaced = _beside(target, "replaced")
    with writing(target):
        if replaced.is_dir() and not target.exists():
            os.rename(replaced, target)


@contextmanager
def staged(target: Path) -> Iterator[tuple[Path, Path]]:
    """A folder beside the target to write into, and one for what is needed meanwhile.

    On success the first takes the target's place, else it is removed; the second is always removed.
    """
    staging, scratch, replaced = (_beside(target, what) for what in ("staging", "scratch", "replaced"))
    try:
        for leftover in (staging, scratch, replaced):
            shutil.rmtree(leftover, ignore_errors=True)
        staging.mkdir()
        scratch.mkdir(mode=0o700)
        yield staging, scratch
        _flush(staging)
        if target.exists():
            os.rename(target, replaced)
        os.rename(staging, target)
        sync_path(target.parent)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        _put_back(target)
        for leftover in (staging, scratch, replaced):
            shutil.rmtree(leftover, ignore_errors=True)


def _beside(target: Path, what: str) -> Path:
    return target.with_name(f".{target.name}.{what}")


def _flush(folder: Path) -> None:
    """Every file readable by whom the person's umask says (safetensors makes its own 0600), and on the disk."""
    mode = (folder / RECORD).stat().st_mode & 0o777
    for path in [*folder.rglob("*"), folder]:
        if path.is_file():
            path.chmod(mode)
        sync_path(path)


def _refused(target: Path, case: str, why: str, name: str = "") -> UsageError:
    return UsageError(
        "export.bad_target",
        f"{target} {why}: nothing is written there. Choose a new or empty folder with --to.",
        path=str(target),
        why=why,
        case=case,
        name=name,
    )
