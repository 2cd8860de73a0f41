"""Files of a ModelScope repo on this disk: what is used is of the size and the sha256 that were listed, always."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from huggingface_hub.utils._fixes import WeakFileLock

from engine.exits import HubError
from engine.models.hub_errors import Kind, lacks
from engine.models.modelscope.client import library, require_library
from engine.models.modelscope.errors import (
    AWAY,
    ScopeRepo,
    checksum,
    require_network,
    scope_errors,
    unlisted,
)
from engine.models.modelscope.listing import (
    COMMIT,
    Entry,
    Listing,
    keep,
    kept,
    listed,
    place_of,
    remembered,
    write_whole,
)
from engine.modelscope_home import older_dirs

TENSORS = "*.safetensors"
WANTED = (TENSORS, "*.json", "*.model", "*.txt", "*.jinja", "*.tiktoken", "README.md")
"""Weights, settings, vocabularies, templates and the card: nothing that Python would run, and no pickle."""
UNUSED = "consolidated*"
"""The same weights in another format."""

BLOCK = 1 << 22
WORKERS = 4

_log = logging.getLogger(__name__)


def commit_of(repo: str, revision: str | None, kind: Kind) -> str:
    """The commit (40 hex digits) that a branch, a tag or, with None, the branch master stands for.

    Asks ModelScope; where it is away, the cache remembers what the last answer was. Raises HubError, and
    EnvironmentUnfitError without ModelScope's package.
    """
    if revision and COMMIT.fullmatch(revision):
        return revision
    wanted = ScopeRepo(repo, kind, revision)
    try:
        return _ask(wanted).commit
    except HubError as error:
        commit = remembered(wanted)
        if error.code not in AWAY or commit is None:
            raise
        if error.code != "modelscope.offline":  # nobody has to be told what they asked for
            _log.warning("%s Going on with commit %s, which the cache remembers.", error.text, commit)
        return commit


def listing_of(repo: str, revision: str | None, kind: Kind) -> tuple[ScopeRepo, Listing]:
    """The repo at the commit of a revision, and its files. Raises what `commit_of` raises."""
    commit = commit_of(repo, revision, kind)
    wanted = ScopeRepo(repo, kind, commit)
    return wanted, kept(wanted, commit) or _ask(wanted)


def listed_sizes(repo: ScopeRepo) -> dict[str, int]:
    """The files of a repo at a commit, as listed when it was downloaded; {} where no list is left."""
    listing = kept(repo, str(repo.revision))
    return {entry.path: max(0, entry.size) for entry in listing.files} if listing else {}


@cache
def snapshot(repo: str, revision: str | None, *, weights: bool = True) -> tuple[Path, str]:
    """Downloads what training needs of a model repo; the folder, and the commit its revision stands for.

    Without `weights` it is everything else: a few megabytes that tell what the model is. A process asks once: the
    tokenizer and the model it loads are of one commit, even if the branch moves. Raises HubError,
    EnvironmentUnfitError, CannotWriteError.
    """
    wanted, listing = listing_of(repo, revision, "model")
    files = [entry for entry in listing.files if _needed(entry.path, weights)]
    return fetch(wanted, listing, files), listing.commit


def _needed(path: str, weights: bool) -> bool:
    if "/" in path or fnmatch(path, UNUSED) or (fnmatch(path, TENSORS) and not weights):
        return False
    return any(fnmatch(path, pattern) for pattern in WANTED)


def _ask(repo: ScopeRepo) -> Listing:
    """The list as it is now, which the cache will remember."""
    require_network(repo, "find")
    require_library(repo, "find")
    with scope_errors(repo, "find"):
        listing = listed(repo)
    with suppress(OSError):  # a cache that cannot be written to says so when something is downloaded into it
        keep(repo, listing)
    return listing


def fetch(repo: ScopeRepo, listing: Listing, files: Sequence[Entry]) -> Path:
    """The folder of the commit, with at least these files of it in it, each as listed.

    What another revision's snapshot holds already is not transferred again. Raises what `snapshot` raises.
    """
    folder = place_of(repo) / "snapshots" / listing.commit
    if strange := next((entry for entry in files if not entry.known), None):
        raise unlisted(repo, strange.path)
    receipts = _Receipts(place_of(repo) / "checked" / f"{listing.commit}.json", folder)
    doubtful = [entry for entry in files if not receipts.stands(entry)]
    lacking = [entry for entry in doubtful if not _whole(folder / entry.path, entry)]
    if lacking:
        with scope_errors(repo, "download"):
            _complete(repo, listing, lacking, folder)
    if doubtful:
        receipts.write(files)
    return folder


def _complete(repo: ScopeRepo, listing: Listing, files: Sequence[Entry], folder: Path) -> None:
    """Puts the files into the folder; one process at a time does."""
    folder.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(place_of(repo) / "fetch.lock"):
        lacking = [entry for entry in files if not _adopted(repo, entry, folder)]
        if lacking:
            _download(repo, listing, lacking, folder)
        for entry in lacking:
            _require_whole(repo, folder / entry.path, entry)


def _download(repo: ScopeRepo, listing: Listing, files: Sequence[Entry], folder: Path) -> None:
    """By ModelScope's library: what arrived of a file before is not transferred again."""
    names = [entry.path for entry in files]
    require_network(repo, "download", names)
    require_library(repo, "download")
    wanted = [{"Path": one.path, "Size": one.size, "Sha256": one.sha256, "Type": "blob"} for one in files]
    try:
        with scope_errors(repo, "download"):
            library().download_repo(
                repo.id,
                repo.kind,
                revision=listing.asked,
                local_dir=folder,
                file_list=wanted,
                max_workers=WORKERS,
            )
    except HubError as error:
        if error.code not in AWAY:
            raise
        absent = [entry.path for entry in files if not _whole(folder / entry.path, entry)]
        raise HubError(error.code, f"{error.text} The cache {lacks(absent)}.", **error.params) from error


def _adopted(repo: ScopeRepo, entry: Entry, folder: Path) -> bool:
    """Whether the file is there, or now is, since another snapshot in the cache has one that is just the same."""
    target = folder / entry.path
    if _whole(target, entry):
        return True
    for other in _other_places(repo, folder):
        if _whole(other / entry.path, entry):
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_name(f"{target.name[:100]}.{uuid4().hex}")
            try:
                os.link((other / entry.path).resolve(), draft)
            except OSError:  # another disk, or one without links
                shutil.copyfile(other / entry.path, draft)
            os.replace(draft, target)
            return _whole(target, entry)
    return False


def _other_places(repo: ScopeRepo, folder: Path) -> Iterator[Path]:
    """Snapshots of other revisions: also those that ModelScope's own tools made, which call them by the branch."""
    with suppress(OSError):
        yield from (other for other in sorted(folder.parent.iterdir()) if other != folder)
    yield from older_dirs(repo.kind, repo.id)


def _whole(path: Path, entry: Entry) -> bool:
    """Whether it is the file listed, byte for byte."""
    try:
        if not path.is_file() or path.stat().st_size != entry.size:
            return False
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError:
        return False
    return digest.hexdigest() == entry.sha256


def _require_whole(repo: ScopeRepo, path: Path, entry: Entry) -> None:
    """Whatever the library says: what is not as listed does not stay."""
    if not _whole(path, entry):
        with suppress(OSError):
            path.unlink()
        raise checksum(repo, entry.path)


class _Receipts:
    """Which files were found whole, and how they looked to the disk then: who looks the same is not read again."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path = path
        self._folder = folder
        self._known: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            told = json.loads(path.read_text(encoding="utf-8"))
            self._known = told if isinstance(told, dict) else {}

    def stands(self, entry: Entry) -> bool:
        """Whether a file is the one that was found whole."""
        look = self._look(entry)
        return look is not None and self._known.get(entry.path) == look

    def write(self, files: Sequence[Entry]) -> None:
        """These are whole. Best effort: in a cache that is only read they are compared again each time."""
        known = {**self._known, **{entry.path: self._look(entry) for entry in files}}
        with suppress(OSError):
            write_whole(self._path, json.dumps(known))

    def _look(self, entry: Entry) -> list[Any] | None:
        try:
            found = (self._folder / entry.path).stat()
        except OSError:
            return None
        return [entry.sha256, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
