"""Where an export goes: built beside its place, moved there whole, and never over somebody's files."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.config.schema import Config
from engine.exits import UsageError
from engine.rundir.files import cannot_write, free_bytes, read_json, sync_path
from engine.rundir.paths import RunDir

RECORD = "dpo-tui.json"
"""Says that a folder is an export of ours, of what, and which files belong to it."""

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")


def export_folder(run: RunDir, config: Config) -> Path:
    """Where the export of a run goes unless somebody says otherwise."""
    return Path(config.export.to) if config.export.to else run.export_dir


def require_target(path: Path) -> Path:
    """The absolute folder an export may be written to. Raises UsageError for one that it would destroy.

    Allowed: a new folder, an empty one, and an earlier export to which nothing was added.
    """
    target = path.expanduser().resolve()
    if target in (Path(target.anchor), Path.home().resolve()):
        raise _refused(target, "is a root or home directory")
    if (target / ".git").exists():
        raise _refused(target, "is a git repository")
    if target.exists() and not target.is_dir():
        raise _refused(target, "is a file")
    names = sorted(os.listdir(target)) if target.is_dir() else []
    record = read_json(target / RECORD) or {}
    files = record.get("files")
    if names and not isinstance(files, list):
        raise _refused(target, f'is not empty, and no export of dpo-tui (it holds "{names[0]}")')
    foreign = [name for name in names if name != RECORD and name not in (files or [])]
    if foreign:
        raise _refused(target, f'is an earlier export to which "{foreign[0]}" was added')
    return target


def require_space(target: Path, needed: int) -> None:
    """Raises CannotWriteError before anything is loaded if the weights cannot fit there."""
    free = free_bytes(target)
    if free is not None and free < needed:
        raise cannot_write(target, OSError(28, "No space left on device"), needed)


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """A folder beside the target to write into; on success it takes the target's place, else it is removed."""
    staging = target.with_name(f".{target.name}.staging")
    replaced = target.with_name(f".{target.name}.replaced")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for leftover in (staging, replaced):
            shutil.rmtree(leftover, ignore_errors=True)
        staging.mkdir()
        yield staging
        _flush(staging)
        if target.exists():
            os.rename(target, replaced)
        os.rename(staging, target)
        sync_path(target.parent)
        shutil.rmtree(replaced, ignore_errors=True)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_record(folder: Path, facts: dict[str, Any]) -> None:
    """Marks the folder as ours; the last file to be written into it."""
    files = sorted(entry.name for entry in folder.iterdir())
    text = json.dumps({"v": 1, **facts, "files": files}, indent=2)
    (folder / RECORD).write_text(f"{text}\n", encoding="utf-8")


def _flush(folder: Path) -> None:
    """Every file readable by whom the person's umask says (safetensors makes its own 0600), and on the disk."""
    mode = (folder / RECORD).stat().st_mode & 0o777
    for path in folder.iterdir():
        if path.is_file():
            path.chmod(mode)
        sync_path(path)
    sync_path(folder)


def _refused(target: Path, why: str) -> UsageError:
    return UsageError(
        "export.bad_target",
        f"{target} {why}: nothing is written there. Choose a new or empty folder with --to.",
        path=str(target),
        why=why,
    )
