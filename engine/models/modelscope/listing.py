"""What ModelScope lists of a repo at a revision: its files with size and sha256, and the commit they are of.

A list is kept beside the snapshots in ModelScope's cache: without one nobody could tell a whole snapshot from half
of one, with or without a network.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from engine.models.hub_errors import Repo
from engine.models.modelscope.client import ask
from engine.models.modelscope.errors import NoHubError, no_revision
from engine.modelscope_home import BRANCH, Kind, repo_dir

COMMIT = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-fA-F]{64}")
SHORTEST_ID = 7

TRUNCATED = 3000
"""As many entries of a model ModelScope lists, and says nothing of the rest."""
PAGE = 200
MOST_PAGES = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a repo. size is -1, and sha256 empty, where the list does not say."""

    path: str
    size: int
    sha256: str

    @property
    def known(self) -> bool:
        """Whether a copy of it can be verified."""
        return self.size >= 0 and bool(self.sha256)


@dataclass(frozen=True, slots=True)
class Listing:
    """All files of a repo at a commit. `asked` is the revision under which they are to be had."""

    commit: str
    asked: str
    files: tuple[Entry, ...]


def listed(repo: Repo) -> Listing:
    """What ModelScope lists now. Raises HubError for an unknown revision, and what `ask` raises."""
    asked = repo.revision or BRANCH
    pages = list(_dataset_pages(repo.id, asked) if repo.kind == "dataset" else _model_pages(repo.id, asked))
    if any(page["Files"] is None for page in pages):  # a revision that is not there is answered with 200
        raise no_revision(repo, "find")
    raw = [entry for page in pages for entry in page["Files"]]
    if not all(isinstance(entry, dict) for entry in raw):
        raise NoHubError
    by_path = {entry.path: entry for entry in _entries(raw)}
    files = tuple(by_path[path] for path in sorted(by_path))
    commit = _commit(asked, pages[0].get("LatestCommitter"), raw)
    if commit is None:
        return Listing(_digest(files), asked, files)
    return Listing(commit, commit, files)


def _model_pages(repo: str, revision: str) -> Iterator[Mapping[str, Any]]:
    """The whole tree; of one that is too large for a list surely its top, where a model's own files are."""
    path, asked = f"models/{repo}/repo/files", {"Revision": revision}
    page = _page(ask(path, {**asked, "Recursive": "True"}))
    yield page
    if len(page["Files"] or ()) >= TRUNCATED:
        yield _page(ask(path, {**asked, "Recursive": "False"}))


def _dataset_pages(repo: str, revision: str) -> Iterator[Mapping[str, Any]]:
    asked = {"Revision": revision, "Recursive": "True", "PageSize": str(PAGE)}
    for number in range(1, MOST_PAGES + 1):
        page = _page(ask(f"datasets/{repo}/repo/tree", {**asked, "PageNumber": str(number)}))
        yield page
        if len(page["Files"] or ()) < PAGE:
            return
    raise NoHubError


def _page(data: Any) -> Mapping[str, Any]:
    """Some of ModelScope's servers leave the wrapping out."""
    data = {"Files": data} if isinstance(data, list) else data
    if not isinstance(data, dict) or not isinstance(data.get("Files", 0), list | None):
        raise NoHubError
    return data


def _entries(raw: Iterable[Mapping[str, Any]]) -> Iterator[Entry]:
    """The files among the entries. Raises NoHubError for a path that would lead out of a snapshot."""
    for entry in raw:
        path, size, sha256 = (entry.get(name) for name in ("Path", "Size", "Sha256"))
        if entry.get("Type") == "tree":
            continue
        if not isinstance(path, str) or not safe(path):
            raise NoHubError
        sized = isinstance(size, int) and not isinstance(size, bool) and size >= 0
        hashed = isinstance(sha256, str) and SHA256.fullmatch(sha256)
        yield Entry(path, size if sized else -1, sha256.lower() if hashed else "")  # type: ignore[arg-type,union-attr]


def safe(path: str) -> bool:
    """Whether a path of a list stays inside the folder it is put into."""
    parts = PurePosixPath(path).parts
    odd = "\\" in path or "\0" in path or path != str(PurePosixPath(path))
    return bool(parts) and not odd and not path.startswith("/") and ".." not in parts


def _commit(asked: str, committer: Any, raw: Iterable[Mapping[str, Any]]) -> str | None:
    """The commit listed. ModelScope tells its first digits, and each file's last commit in full: that of one file
    is it, unless it did nothing but delete. None where it cannot be told.

    Raises NoHubError where a commit was asked for, and another is answered with.
    """
    told = committer if isinstance(committer, dict) else {}
    full, short = str(told.get("Id") or ""), str(told.get("ShortId") or "")
    if COMMIT.fullmatch(asked):
        if not asked.startswith(short) or (COMMIT.fullmatch(full) and full != asked):
            raise NoHubError
        return asked
    if COMMIT.fullmatch(full):
        return full
    last = (str(entry.get("Revision") or "") for entry in raw)
    found = (commit for commit in last if COMMIT.fullmatch(commit) and commit.startswith(short))
    return next(found, None) if len(short) >= SHORTEST_ID else None


def _digest(files: Iterable[Entry]) -> str:
    """What stands in for a commit that cannot be told: of the same form, and of the same files always the same."""
    listed = json.dumps([[entry.path, entry.size, entry.sha256] for entry in files])
    return hashlib.sha256(listed.encode()).hexdigest()[:40]


def keep(repo: Repo, listing: Listing) -> None:
    """Puts down the list, and that it is what the repo's revision stands for now. Raises OSError."""
    files = [[entry.path, entry.size, entry.sha256] for entry in listing.files]
    written = {"commit": listing.commit, "asked": listing.asked, "files": files}
    write_whole(_list_file(repo, listing.commit), json.dumps(written))
    write_whole(_ref_file(repo), listing.commit)


def kept(repo: Repo, commit: str) -> Listing | None:
    """The list of a commit as it was put down; None where there is none that is whole."""
    try:
        told = json.loads(_list_file(repo, commit).read_text(encoding="utf-8"))
        files = tuple(Entry(str(path), int(size), str(sha256)) for path, size, sha256 in told["files"])
        listing = Listing(str(told["commit"]), str(told["asked"]), files)
    except (OSError, ValueError, TypeError, LookupError):
        return None
    whole = listing.commit == commit and all(safe(entry.path) for entry in files)
    return listing if whole else None


def remembered(repo: Repo) -> str | None:
    """The commit that the repo's revision stood for when it was last asked for."""
    with suppress(OSError, ValueError):
        commit = _ref_file(repo).read_text(encoding="utf-8").strip()
        return commit if COMMIT.fullmatch(commit) else None
    return None


def _list_file(repo: Repo, commit: str) -> Path:
    return place_of(repo) / "lists" / f"{commit}.json"


def _ref_file(repo: Repo) -> Path:
    return place_of(repo) / "refs" / quote(repo.revision or BRANCH, safe="")


def place_of(repo: Repo) -> Path:
    """The repo's folder in the cache."""
    kind: Kind = repo.kind
    return repo_dir(kind, repo.id)


def write_whole(path: Path, text: str) -> None:
    """All of the text or nothing of it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name[:100]}.{uuid4().hex}")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)
