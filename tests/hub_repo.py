"""A repo of the hub that the tests play, and how it shows over the wire: ids of content, listings, ranges."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs

LARGE = 1024
"""Bytes from which on a file is an LFS object."""

Kind = Literal["model", "dataset"]


@dataclass
class Repo:
    """Files by path, for every commit; `refs` are its branches and tags."""

    id: str
    kind: Kind = "model"
    private: bool = False
    gated: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    """What a search tells of it besides: downloads, likes, tags, safetensors."""
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes] | Path, ref: str = "main") -> str:
        """Adds a commit of exactly these files (or those of a folder) to a branch; its id."""
        if isinstance(files, Path):
            paths = sorted(path for path in files.rglob("*") if path.is_file())
            files = {path.relative_to(files).as_posix(): path.read_bytes() for path in paths}
        seed = repr((self.id, len(self.commits), sorted(files.items())))
        commit = hashlib.sha1(seed.encode(), usedforsecurity=False).hexdigest()
        self.commits[commit] = dict(files)
        self.refs[ref] = commit
        return commit

    def sha(self, revision: str) -> str | None:
        """The commit of a branch, a tag, or a commit itself; None where there is none."""
        return self.refs.get(revision, revision if revision in self.commits else None)

    @property
    def head(self) -> dict[str, bytes]:
        return self.commits[self.refs["main"]]


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    content: bytes
    headers: Mapping[str, str]


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON body. The hub repeats its error messages in a header."""
    content = {"Content-Type": "application/json; charset=utf-8"}
    return Answer(status, json.dumps(value).encode(), {**content, **(headers or {})})


def is_large(size: int) -> bool:
    return size >= LARGE


def etag(content: bytes) -> str:
    """The sha256 of a large file, git's id of a small one."""
    if is_large(len(content)):
        return hashlib.sha256(content).hexdigest()
    blob = b"blob %d\0" % len(content) + content
    return hashlib.sha1(blob, usedforsecurity=False).hexdigest()


def entry(path: str, content: bytes) -> dict[str, Any]:
    """A file as a listing shows it."""
    fact = {"type": "file", "path": path, "size": len(content), "oid": etag(content)[:40]}
    if is_large(len(content)):
        fact["lfs"] = {"oid": etag(content), "size": len(content), "pointerSize": 130}
    return fact


def ranged(answer: Answer, wanted: str | None) -> Answer:
    """The part of a whole file that a Range header asks for."""
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "")
    if answer.status != 200 or not found:
        return answer
    size = len(answer.content)
    begin, last = int(found[1]), min(int(found[2] or size - 1), size - 1)
    if begin >= size:
        return Answer(416, b"", {"Content-Range": f"bytes */{size}"})
    headers = {**answer.headers, "Content-Range": f"bytes {begin}-{last}/{size}"}
    return Answer(206, answer.content[begin : last + 1], headers)


def listing(files: Mapping[str, bytes], folder: str, recursive: bool) -> list[dict[str, Any]]:
    below = f"{folder}/" if folder else ""
    paths = [path for path in files if path.startswith(below)]
    parents = {parent.as_posix() for path in paths for parent in Path(path).parents} - {".", folder}
    listed = [{"type": "directory", "path": path, "size": 0, "oid": "0" * 40} for path in sorted(parents)]
    listed += [entry(path, files[path]) for path in paths]
    return [item for item in listed if recursive or "/" not in str(item["path"]).removeprefix(below)]


def matching(repos: Iterable[Repo], kind: str, query: str) -> list[dict[str, Any]]:
    """The public repos a search finds, the most downloaded first; of their facts those it asks for."""
    asked = parse_qs(query)
    word = asked.get("search", [""])[0].lower()
    tags = set(asked.get("filter", []))
    found = [repo for repo in repos if repo.kind == kind and word in repo.id.lower() and not repo.private]
    found = [repo for repo in found if tags <= set(repo.facts.get("tags", []))]
    found.sort(key=lambda repo: -repo.facts.get("downloads", 0))
    listed = [{"id": repo.id, "gated": "auto" if repo.gated else False, **repo.facts} for repo in found]
    shown = {"id", *asked.get("expand", [])}
    limit = int(asked.get("limit", ["1000"])[0])
    return [{key: value for key, value in facts.items() if key in shown} for facts in listed[:limit]]


def upload_mode(path: str, size: int, present: bytes | None) -> dict[str, Any]:
    mode = "lfs" if is_large(size) else "regular"
    oid = None if present is None else etag(present)
    return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid}
