"""A server on this machine that plays the Hugging Face hub: downloads, uploads, and each way these go wrong.

Repos hold files in memory, commit by commit. A `Fault` makes requests fail whose "METHOD /path" it matches; all
requests are recorded. Files of 1 KiB and more are "large": kept by their sha256 as LFS objects, and with `cdn`
set, served from there after a redirect.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Literal, TypeVar
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from tests.hub_repo import (
    Answer,
    Kind,
    Repo,
    entry,
    etag,
    is_large,
    json_answer,
    listing,
    matching,
    ranged,
    upload_mode,
)

TOKEN = "hf_" + "canary" * 5


@dataclass
class Fault:
    """What happens to requests whose "METHOD /path" the pattern is found in, `times` times (None: always).

    kind: "status" answers `status` with `headers` and `body`; "stall" never answers; "drop" closes the connection
    without a word; "cut" does what was asked, and closes it in the middle of the answer; "hang" sends half of it and
    then no more; "short" sends half of the answer as if it were all; "move" lets the branch main move on to another
    commit, and answers as ever.
    """

    pattern: str
    kind: Literal["status", "stall", "drop", "cut", "hang", "short", "move"] = "status"
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": "no"}'
    times: int | None = None


@dataclass(frozen=True)
class Request:
    """A request as it came in."""

    method: str
    path: str
    host: str
    token: str | None
    """The Authorization header."""
    range: str | None
    cookie: str | None = None

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class HubServer:
    """The hub's state, and its answers to requests."""

    address: str = ""
    cdn: str = ""
    """Where large files are redirected to; empty: they are served like the others."""
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    """Uploaded large files by sha256, whether a commit names them or not."""
    closing: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    def add(self, repo: str, files: Mapping[str, bytes] | Path, kind: Kind = "model") -> Repo:
        """A repo with one commit on main."""
        added = self.repos[kind, repo] = Repo(repo, kind)
        added.commit(files)
        return added

    def fail(self, pattern: str, **fault: Any) -> Fault:
        """Adds a fault; `fail("GET .*resolve", status=500, times=1)`."""
        self.faults.append(Fault(pattern, **fault))
        return self.faults[-1]

    def lines(self, pattern: str = "") -> list[str]:
        """The requests so far that the pattern is found in, as "METHOD /path"."""
        return [request.line for request in self.requests if re.search(pattern, request.line)]

    def move_on(self) -> None:
        """Another commit on every main branch."""
        for repo in self.repos.values():
            repo.commit({**repo.head, "moved.txt": repo.refs["main"].encode()})

    def path_of(self, url: SplitResult) -> str:
        """What faults are matched with, and requests are known by."""
        return unquote(url.path)

    def fault_for(self, request: Request) -> Fault | None:
        """Records the request; the first fault that it meets, counted down."""
        with self._lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.times != 0 and re.search(fault.pattern, request.line):
                    fault.times = None if fault.times is None else fault.times - 1
                    return fault
        return None

    def hold(self, really: bool) -> None:
        """Keeps a connection open, and silent, until the server ends."""
        if really:
            self.closing.wait()

    def answer(self, request: Request, query: str, body: bytes) -> Answer:
        """The hub's answer, as if nothing ever went wrong."""
        path = request.path
        if path == "/api/repos/create":
            return self._create(request, json.loads(body))
        if path == "/api/validate-yaml":
            return json_answer({"errors": [], "warnings": []})
        if found := re.fullmatch(r"/api/(model|dataset)s", path):
            return json_answer(matching(self.repos.values(), found[1], query))
        if found := re.fullmatch(r"/objects/(\w{64})", path):
            return self._object(request, found[1], body)
        if found := re.fullmatch(r"/api/(model|dataset)s/([^/]+/[^/]+)(?:/(.*))?", path):
            repo = self._visible(found[1], found[2], request)
            return self._api(repo, found[3] or "", query, body) if isinstance(repo, Repo) else repo
        if found := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repo = self._visible("dataset" if found[1] else "model", found[2], request)
            return self._file(repo, unquote(found[3]), found[4]) if isinstance(repo, Repo) else repo
        if found := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            return self._batch(json.loads(body))
        return json_answer({"error": f"no such page: {path}"}, 404)

    def _visible(self, kind: str, name: str, request: Request) -> Repo | Answer:
        repo, known = self.repos.get((kind, name)), request.token == f"Bearer {TOKEN}"
        if request.token and not known:
            headers = {"X-Error-Message": "Invalid credentials in Authorization header"}
            return json_answer({"error": "Invalid credentials in Authorization header"}, 401, headers)
        if repo is None or (repo.private and not known):
            words = ("Repository not found", 404) if known else ("Invalid username or password.", 401)
            return json_answer({"error": words[0]}, words[1], {"X-Error-Code": "RepoNotFound"})
        if repo.gated and "/resolve/" in request.path:
            headers = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this is restricted."}
            return json_answer({"error": "Access to this is restricted."}, 403 if known else 401, headers)
        return repo

    def _api(self, repo: Repo, rest: str, query: str, body: bytes) -> Answer:
        verb, _, place = rest.partition("/")
        revision, _, folder = place.partition("/")
        sha = repo.sha(unquote(revision) or "main")
        if sha is None:
            return json_answer({"error": "Invalid rev id"}, 404, {"X-Error-Code": "RevisionNotFound"})
        files = repo.commits[sha]
        match verb:
            case "" | "revision":
                siblings = [{"rfilename": path} for path in files]
                facts = {"id": repo.id, "sha": sha, "private": repo.private, "siblings": siblings}
                return json_answer({**facts, "modelId": repo.id, "gated": "auto" if repo.gated else False})
            case "tree":
                return json_answer(listing(files, folder, "recursive=true" in query.lower()))
            case "paths-info":
                paths = parse_qs(body.decode())["paths"]
                return json_answer([entry(path, files[path]) for path in paths if path in files])
            case "preupload":
                asked = [file["path"] for file in json.loads(body)["files"]]
                sizes = {file["path"]: file["size"] for file in json.loads(body)["files"]}
                modes = [upload_mode(path, sizes[path], files.get(path)) for path in asked]
                return json_answer({"files": modes})
            case "commit":
                return self._commit(repo, body)
        return json_answer({"error": "Sorry, we can't find the page you are looking for."}, 404)

    def _file(self, repo: Repo, revision: str, path: str) -> Answer:
        sha = repo.sha(revision)
        if sha is None:
            return json_answer({"error": "Invalid rev id"}, 404, {"X-Error-Code": "RevisionNotFound"})
        content = repo.commits[sha].get(unquote(path))
        headers = {"X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if content is None:
            missing = {**headers, "X-Error-Code": "EntryNotFound"}
            return json_answer({"error": "Entry not found"}, 404, missing)
        headers["ETag"] = f'"{etag(content)}"'
        if is_large(len(content)):
            headers |= {"X-Linked-Size": str(len(content)), "X-Linked-ETag": headers["ETag"]}
            if self.cdn:
                self.objects[etag(content)] = content
                return Answer(302, b"", {**headers, "Location": f"{self.cdn}/objects/{etag(content)}"})
        return Answer(200, content, headers)

    def _object(self, request: Request, sha256: str, body: bytes) -> Answer:
        if request.method == "PUT":
            if hashlib.sha256(body).hexdigest() != sha256:
                return json_answer({"error": "the content is not what was announced"}, 400)
            self.objects[sha256] = body
            return Answer(200, b"", {})
        content = self.objects.get(sha256)
        return json_answer({}, 404) if content is None else Answer(200, content, {"ETag": f'"{sha256}"'})

    def _create(self, request: Request, asked: dict[str, Any]) -> Answer:
        if request.token != f"Bearer {TOKEN}":
            return json_answer({"error": "Invalid username or password."}, 401)
        name = f"{asked.get('organization') or 'owner'}/{asked['name']}"
        kind: Kind = asked.get("type", "model")
        facts = {"url": f"{self.address}/{name}", "name": name, "id": name}
        if (kind, name) in self.repos:
            return json_answer({**facts, "error": "You already created this model repo"}, 409)
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.add(name, {".gitattributes": b"*.safetensors filter=lfs\n"}, kind).private = private
        return json_answer(facts)

    def _batch(self, asked: dict[str, Any]) -> Answer:
        objects: list[dict[str, Any]] = [dict(wanted) for wanted in asked["objects"]]
        for wanted in objects:
            if wanted["oid"] not in self.objects:
                wanted["actions"] = {"upload": {"href": f"{self.address}/objects/{wanted['oid']}"}}
        return json_answer({"transfer": "basic", "objects": objects})

    def _commit(self, repo: Repo, body: bytes) -> Answer:
        files = dict(repo.head)
        for line in body.splitlines():
            told = json.loads(line)
            value = told["value"]
            match told["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    if value["oid"] not in self.objects:
                        return json_answer({"error": f"{value['path']} was never uploaded"}, 400)
                    files[value["path"]] = self.objects[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        sha = repo.commit(files)
        url = f"{self.address}/{repo.id}/commit/{sha}"
        return json_answer({"success": True, "commitOid": sha, "commitUrl": url})


Played = TypeVar("Played", bound=HubServer)


def handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    """The HTTP side: one class per server, since the base class makes its own instances."""

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            header = self.headers.get
            where = (self.command, hub.path_of(url), header("Host") or "")
            request = Request(*where, header("Authorization"), header("Range"), header("Cookie"))
            fault = hub.fault_for(request)
            kind = fault.kind if fault else None
            hub.hold(kind == "stall")
            if kind in ("stall", "drop"):
                return
            if kind == "move":
                hub.move_on()
            answer = Answer(fault.status, fault.body, fault.headers) if fault else None
            if kind != "status" or answer is None:
                answer = ranged(hub.answer(request, url.query, body), request.range)
            self.reply(answer, kind)

        def reply(self, answer: Answer, kind: str | None) -> None:
            half = answer.content[: len(answer.content) // 2]
            content = half if kind in ("cut", "hang", "short") else answer.content
            announced = content if kind == "short" else answer.content
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(announced))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            hub.hold(kind == "hang")

        do_GET = do_HEAD = do_POST = do_PUT = serve  # noqa: N815  (the base class's names)

        def log_message(self, *_: object) -> None:
            """Silent."""

    return Handler


class Server(ThreadingHTTPServer):
    """As many connections at once as clients like to open."""

    request_queue_size = 64
    daemon_threads = True


@contextmanager
def serving(hub: Played) -> Iterator[Played]:
    """Serves `hub` on a free port of 127.0.0.1 and sets its address."""
    server = Server(("127.0.0.1", 0), handler(hub))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        server.server_close()
