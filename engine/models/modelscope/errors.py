"""Each way a talk with ModelScope can fail, as one line with its cause and a way out.

What a library says of a failure is not repeated: it holds signed addresses, and may hold the token.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from engine.exits import CannotWriteError, EngineError, EnvironmentUnfitError, HubError
from engine.models.hub_errors import REFUSED_BY_DISK, Action, Repo, lacks
from engine.modelscope_home import BRANCH, INSTALL, SITE, cache_dir, fetch_command, offline_by, server
from engine.sanitize import one_line

LOGIN = f"set MODELSCOPE_API_TOKEN to a token made on {SITE}/my/myaccesstoken"

AWAY = (
    "modelscope.offline",
    "modelscope.unreachable",
    "modelscope.timeout",
    "modelscope.down",
    "modelscope.rate_limit",
    "modelscope.broken",
)
"""Codes that say nothing about the repo: what was downloaded before is as good as it was."""

NOT_THERE = {"NewConnectionError", "NameResolutionError", "ConnectionRefusedError", "gaierror", "ProxyError"}
TIMEOUTS = {"Timeout", "RequestTimeoutError", "ConnectTimeoutError", "ReadTimeoutError", "TimeoutError"}
BREAKS = {"RequestException", "NetworkError", "HTTPError", "ConnectionError"}
"""Names of errors, since the libraries need not be installed: of requests, urllib3, ModelScope's and Python's."""
UNSPEAKABLE = {"InvalidHeader", "UnicodeEncodeError"}
"""The same of a token that no header can hold, as one of two lines or in Chinese."""


class ScopeRepo(Repo):
    """A repo on ModelScope."""

    __slots__ = ()

    @property
    def page(self) -> str:
        return f"{SITE}/{self.kind}s/{self.id}"

    @property
    def download(self) -> str:
        return fetch_command(self.id, self.kind, self.revision)

    def mend(self, there: bool) -> str:
        """A file that is there is the one its repo has: its sha256 was compared."""
        return f"That is how the repo has it: see {self.page}." if there else f"Run `{self.download}`."


class RefusedError(Exception):
    """The server answered, and not with what was asked for."""

    def __init__(self, status: int, said: str = "") -> None:
        super().__init__(status)
        self.status_code = status
        self.said = said


class NoHubError(Exception):
    """What came is no answer that ModelScope would give."""


@contextmanager
def scope_errors(repo: Repo, action: Action) -> Iterator[None]:
    """Turns whatever is raised inside into an EngineError of one line."""
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        raise scope_error(error, repo, action) from error


def scope_error(error: BaseException, repo: Repo, action: Action) -> EngineError:
    """The EngineError for an error of a library, or for what caused it."""
    failed = getattr(error, "failed_files", None)
    if isinstance(failed, dict) and failed:  # of several files the first, by the order of the list
        name, cause = next(iter(failed.items()))
        return _of_file(cause, str(name), repo, action)
    causes = _chain(error)
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in REFUSED_BY_DISK:
            return _cannot_write(cause, repo)
    status = next((found for cause in causes if (found := _status(cause))), None)
    if status is not None:
        return _answered(status, getattr(error, "said", ""), repo, action)
    names = {kind.__name__ for cause in causes for kind in type(cause).__mro__}
    if names & UNSPEAKABLE:
        return _answered(401, "", repo, action)
    if names & (NOT_THERE | TIMEOUTS | BREAKS):
        return _cut_off(names, repo, action)
    return no_hub(repo, action)


def offline(repo: Repo, action: Action, setting: str, lacking: Sequence[str] = ()) -> HubError:
    """The network is switched off; `lacking` names what the local copy does not have, if there is a copy."""
    absent = "does not hold " + ("that revision of it" if repo.revision else "it")
    return HubError(
        "modelscope.offline",
        f"Cannot {action} {repo.title}: the network is switched off ({setting} is set) and the cache in "
        f"{cache_dir()} {lacks(lacking) if lacking else absent}. Unset it, or run `{repo.download}` where there is a "
        "network.",
        action=action,
        repo=repo.id,
        setting=setting,
        path=str(cache_dir()),
        lacking=list(lacking),
        command=repo.download,
    )


def not_installed(repo: Repo, action: Action) -> EnvironmentUnfitError:
    """Without its package nothing is transferred."""
    text = f"Cannot {action} {repo.title}: the package for ModelScope is not installed. Run: {INSTALL}"
    return EnvironmentUnfitError(
        "modelscope.not_installed", text, action=action, repo=repo.id, command=INSTALL
    )


def checksum(repo: Repo, name: str) -> HubError:
    """A file came that is not the one listed."""
    text = (
        f"Cannot download {repo.title}: {one_line(name)} is not the file that ModelScope lists (its size or sha256 "
        f"differs), and was thrown away. Try again; if it stays so, see {repo.page}."
    )
    return HubError("modelscope.checksum", text, repo=repo.id, file=name, page=repo.page)


def no_hub(repo: Repo, action: Action) -> HubError:
    """Another kind of server, or a page in between."""
    text = (
        f"Cannot {action} {repo.title}: {server()} answers, but not as ModelScope does. Check MODELSCOPE_ENDPOINT, "
        "and whether a proxy or a login page stands in between."
    )
    return HubError("modelscope.no_hub", text, action=action, repo=repo.id, endpoint=server())


def no_revision(repo: Repo, action: Action) -> HubError:
    """The repo is there, and has no such branch, tag or commit."""
    revision = repo.revision or BRANCH
    text = (
        f'Cannot {action} {repo.title}: it has no revision "{one_line(revision)}": see its branches and tags on '
        f"{repo.page}/files."
    )
    return HubError(
        "modelscope.no_revision", text, action=action, repo=repo.id, revision=revision, page=repo.page
    )


def unlisted(repo: Repo, name: str) -> HubError:
    """Nobody could tell whether such a file came whole."""
    text = (
        f"Cannot download {repo.title}: ModelScope lists {one_line(name)} without its size or sha256, and what cannot "
        f'be verified is not used. See {repo.page}, or download it by hand and set source = "local".'
    )
    return HubError("modelscope.unlisted", text, repo=repo.id, file=name, page=repo.page)


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it came from, outermost first: libraries keep some causes as plain values."""
    causes: list[BaseException] = []
    following: list[Any] = [error]
    while following:
        one = following.pop(0)
        if isinstance(one, BaseException) and one not in causes:
            causes.append(one)
            following += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return causes


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) and status >= 400 else None


def _of_file(error: BaseException, name: str, repo: Repo, action: Action) -> EngineError:
    """The repo was listed: what is wrong now is one file of it."""
    if any("FileIntegrityError" in {kind.__name__ for kind in type(one).__mro__} for one in _chain(error)):
        return checksum(repo, name)
    if _status(error) == 404:
        text = (
            f"Cannot {action} {repo.title}: {one_line(name)}, which it lists, is not there. Look at {repo.page}, and "
            "try again."
        )
        return HubError("modelscope.no_file", text, action=action, repo=repo.id, file=name, page=repo.page)
    return scope_error(error, repo, action)


def _answered(status: int, said: str, repo: Repo, action: Action) -> HubError:
    """By the status of the answer."""
    detail = ""
    if status == 401:
        code, why = "modelscope.auth", f"ModelScope does not accept this login (401): {LOGIN}"
    elif status == 403:
        code, why = (
            "modelscope.gated",
            f"its authors grant access one by one, or it is private (403): ask on {repo.page}, then {LOGIN}",
        )
    elif status == 404:
        code, why = (
            "modelscope.not_found",
            f"there is no such repo, or it is private: check the id, or {LOGIN}",
        )
    elif status == 429:
        code, why = "modelscope.rate_limit", "too many requests (429). Wait some minutes"
    elif status >= 500:
        code, why = "modelscope.down", f"ModelScope has a fault ({status}). Try again later"
    else:
        detail = _harmless(said) or "no reason given"
        code, why = "modelscope.refused", f"ModelScope answered {status}: {detail}"
    params = {"repo": repo.id, "page": repo.page, "status": status, "detail": detail}
    return HubError(code, f"Cannot {action} {repo.title}: {why}.", action=action, **params)


def _harmless(said: str) -> str:
    """The server's own words, on one line, without the token that it may have been sent."""
    token = os.environ.get("MODELSCOPE_API_TOKEN", "").strip()
    text = one_line(said[:300]).strip().rstrip(".。")
    return text.replace(token, "***") if token else text


def _cut_off(names: set[str], repo: Repo, action: Action) -> HubError:
    """The connection: it never stood, nothing came over it in time, or it broke off."""
    if names & NOT_THERE:
        code, why = "modelscope.unreachable", "cannot be reached"
    elif names & TIMEOUTS:
        code, why = "modelscope.timeout", "gave no answer in time"
    else:
        code, why = "modelscope.broken", "broke the connection off"
    text = (
        f"Cannot {action} {repo.title}: {server()} {why}. Check the network and MODELSCOPE_ENDPOINT, then try again: "
        "what has arrived is kept."
    )
    return HubError(code, text, action=action, repo=repo.id, endpoint=server())


def _cannot_write(error: OSError, repo: Repo) -> CannotWriteError:
    detail = one_line(error.strerror or type(error).__name__)
    text = (
        f"Cannot keep {repo.title} in {cache_dir()}: {detail}. Free space there, or set MODELSCOPE_CACHE to another "
        "folder."
    )
    return CannotWriteError(
        "modelscope.cache_unwritable", text, repo=repo.id, path=str(cache_dir()), detail=detail
    )


def require_network(repo: Repo, action: Action, lacking: Sequence[str] = ()) -> None:
    """Raises HubError where a setting forbids to ask."""
    if setting := offline_by():
        raise offline(repo, action, setting, lacking)
