"""A server on this machine that plays ModelScope: lists, files, and each way these go wrong.

It answers as the real one was seen to: refusals in an envelope, an unknown revision with 200 and no files, the head of
a branch by its first digits alone, and a file's last commit in full.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote

from tests.hub_repo import Answer, Kind, Repo, is_large, json_answer
from tests.hub_server import HubServer, Request

SCOPE_TOKEN = "ms-0ca7a270-0000-4000-8000-c0ffeec0ffee"
BRANCH = "master"


@dataclass
class ScopeServer(HubServer):
    """ModelScope's state, and its answers. A request for a file is known as `/<kind>s/<id>/file/<revision>/<path>`."""

    cap: int = 3000
    """As many entries of a model are listed."""
    heads_told: bool = True
    """Whether a list tells the commit it is of."""

    def add(self, repo: str, files: Mapping[str, bytes] | Path, kind: Kind = "model") -> Repo:
        """A repo with one commit on master."""
        added = self.repos[kind, repo] = Repo(repo, kind)
        added.commit(files, BRANCH)
        return added

    def move_on(self) -> None:
        """Another commit on every branch."""
        for repo in self.repos.values():
            head = repo.refs[BRANCH]
            repo.commit({**repo.commits[head], "moved.txt": head.encode()}, BRANCH)

    def path_of(self, url: SplitResult) -> str:
        """With the file that is asked for."""
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        path = unquote(url.path).removeprefix("/api/v1")
        if path.endswith("/repo") and "FilePath" in asked:
            return f"{path.removesuffix('/repo')}/file/{asked.get('Revision', BRANCH)}/{asked['FilePath']}"
        return path

    def answer(self, request: Request, query: str, body: bytes) -> Answer:
        """ModelScope's answer, as if nothing ever went wrong."""
        if body:
            return refusal(405, "nothing is taken here")
        if found := re.fullmatch(r"/objects/(\w{64})", request.path):
            return Answer(200, self.objects[found[1]], {})
        found = re.fullmatch(
            r"/(model|dataset)s/([^/]+/[^/]+)/(repo/files|repo/tree|file)(?:/(.+))?", request.path
        )
        if not found:
            return refusal(404, "no such page")
        repo = self._seen(found[1], found[2], request)
        if isinstance(repo, Answer):
            return repo
        if found[3] == "file":
            return self._one(repo, *found[4].split("/", 1))
        return self._list(repo, {name: values[0] for name, values in parse_qs(query).items()})

    def _seen(self, kind: str, name: str, request: Request) -> Repo | Answer:
        repo, known = self.repos.get((kind, name)), request.token == f"Bearer {SCOPE_TOKEN}"
        if request.token and not known:
            return refusal(401, f"unknown {request.token}")
        if repo is None or (repo.private and not known):
            return refusal(404, "record not found")
        if repo.gated and "/file/" in request.path:
            return refusal(403, "access denied")
        return repo

    def _list(self, repo: Repo, asked: Mapping[str, str]) -> Answer:
        commit = repo.sha(asked["Revision"])
        if commit is None:
            return told({"Files": None, "LatestCommitter": None})
        recursive, files = asked["Recursive"] == "True", repo.commits[commit]
        entries = [tree(path) for path in folders(files)]
        entries += [blob(repo, commit, path) for path in files]
        entries = [entry for entry in entries if recursive or "/" not in entry["Path"]]
        if "PageNumber" in asked:
            size, number = int(asked["PageSize"]), int(asked["PageNumber"])
            entries = entries[size * (number - 1) : size * number]
        head = {"Id": "", "ShortId": commit[:8]} if self.heads_told else {"Name": "somebody"}
        return told({"Files": entries[: self.cap], "IsVisual": 0, "LatestCommitter": head})

    def _one(self, repo: Repo, revision: str, path: str) -> Answer:
        commit = repo.sha(revision)
        content = repo.commits[commit].get(path) if commit else None
        if content is None:
            return refusal(404, "no such file")
        if is_large(len(content)) and self.cdn:
            digest = sha256(content).hexdigest()
            self.objects[digest] = content
            return Answer(302, b"", {"Location": f"{self.cdn}/objects/{digest}?Signature=canary"})
        return Answer(200, content, {"Content-Type": "application/octet-stream"})


def told(data: Any) -> Answer:
    """Data in ModelScope's envelope."""
    return json_answer({"Code": 200, "Data": data, "Message": "", "RequestId": "r", "Success": True})


def refusal(status: int, message: str) -> Answer:
    """A refusal, whose envelope has a code of ModelScope's own."""
    return json_answer({"Code": 10010205001, "Data": None, "Message": message, "Success": False}, status)


def folders(files: Mapping[str, bytes]) -> list[str]:
    """Every folder above a file."""
    above = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    return sorted(above - {"."})


def tree(path: str) -> dict[str, Any]:
    """A folder as a list shows it."""
    return {"Name": PurePosixPath(path).name, "Path": path, "Type": "tree", "Size": 0, "Sha256": ""}


def blob(repo: Repo, commit: str, path: str) -> dict[str, Any]:
    """A file as a list shows it, with the commit that changed it last."""
    content = repo.commits[commit][path]
    history = list(repo.commits)[: list(repo.commits).index(commit) + 1]
    last = commit
    for older in reversed(history):
        if repo.commits[older].get(path) != content:
            break
        last = older
    digest = sha256(content).hexdigest()
    facts = {"Name": PurePosixPath(path).name, "Path": path, "Type": "blob", "Size": len(content)}
    return {**facts, "Sha256": digest, "Revision": last, "IsLFS": is_large(len(content))}
