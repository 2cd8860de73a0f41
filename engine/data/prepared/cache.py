"""Prepared pairs of earlier runs: found by key in the user's cache, handed to a run's folder as links.

A set is written beside, synced and renamed, so that several processes can use the cache and none sees half a set. A
run keeps its own links: it stays whole when the cache is deleted.
"""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import platformdirs

from engine.data.prepared.prepared_set import EVAL, RECORD, TRAIN, Prepared, find_set
from engine.data.report.tallies import Notice
from engine.rundir.files import cannot_write, sync_path, write_whole

UNUSED_SECONDS = 30 * 86400
"""A set that no run has asked for this long is removed when another one is written."""

ABANDONED_SECONDS = 86400
STAGING = ".staging-"


def cache_root() -> Path:
    """The folder of all sets."""
    return Path(platformdirs.user_cache_dir("dpo-tui")) / "prepared"


def fetch(name: str, key: str, folder: Path) -> Prepared | None:
    """The set called `name` and made from `key`, linked into `folder`; None when there is none, or a damaged one."""
    kept = cache_root() / name
    if find_set(kept, key) is None:
        return None
    try:
        os.utime(kept)  # used today
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD).unlink(missing_ok=True)
        for file in (TRAIN, EVAL):
            _link(kept / file, folder / file)
        write_whole(folder / RECORD, (kept / RECORD).read_bytes())
    except OSError:  # removed by somebody, or no place in the folder: making it will tell
        return None
    return find_set(folder, key)


def store(name: str, key: str, folder: Path) -> Notice | None:
    """Keep the set in `folder` for other runs under `name`. Returns what to tell when that cannot be done."""
    root = cache_root()
    staging = None
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_old(root)
        staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=root))
        for file in (TRAIN, EVAL, RECORD):
            _link(folder / file, staging / file)
        sync_path(staging)
        _put(staging, root / name, key)
        sync_path(root)
    except OSError as error:
        problem = cannot_write(root, error).text
        text = f"the prepared pairs are not kept for other runs: {problem}"
        return Notice("data.cache_unwritable", text, {"path": str(root), "problem": problem})
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return None


def _put(staging: Path, target: Path, key: str) -> None:
    """Give a set its name, unless another process has made the same meanwhile."""
    with suppress(OSError):
        os.rename(staging, target)
        return
    if find_set(target, key) is None:
        aside = Path(tempfile.mkdtemp(prefix=STAGING, dir=target.parent))
        try:
            os.rename(target, aside / "damaged")
            os.rename(staging, target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    """Put a file at `target` that shares its bytes with `source`, or a copy of it where the disk knows no links."""
    beside = target.with_name(f".{target.name}.link")
    beside.unlink(missing_ok=True)
    try:
        try:
            os.link(source, beside)
        except OSError:
            shutil.copyfile(source, beside)
            sync_path(beside)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)  # still there when both were links to the same file already


def _remove_old(root: Path) -> None:
    now = time.time()
    for folder in root.iterdir():
        limit = ABANDONED_SECONDS if folder.name.startswith(STAGING) else UNUSED_SECONDS
        with suppress(OSError):
            if now - folder.stat().st_mtime > limit:
                shutil.rmtree(folder, ignore_errors=True)
