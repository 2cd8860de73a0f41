"""Each way a talk with the Hugging Face hub can fail, as one line with its cause and a way out."""

import errno
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import constants
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from engine.exits import CannotWriteError, EngineError, HubError, UsageError
from engine.models.hub_client import PASSING_BREAKS, HTTPError, bound_waiting, seconds_to_wait
from engine.sanitize import one_line

Kind = Literal["model", "dataset"]
Action = Literal["find", "download", "upload to"]

LOGIN = "log in with `hf auth login`, or set HF_TOKEN"
REFUSED_BY_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM)

XET_STATUS = re.compile(r"HTTP status (?:client|server) error \((\d{3})")
"""How hf_xet, whose errors carry no response, words an answer that it did not want."""

CUT_SHORT = "Consistency check failed"
"""How huggingface_hub begins to say that a file has not the size that the hub announced."""

AWAY = ("hub.offline", "hub.unreachable", "hub.timeout", "hub.down", "hub.rate_limit", "hub.broken")
"""Codes that say nothing about the repo: what was downloaded before is as good as it was."""


@dataclass(frozen=True, slots=True)
class Repo:
    """Which repo a message is about."""

    id: str
    kind: Kind = "model"
    revision: str | None = None

    @property
    def title(self) -> str:
        return self.id if self.kind == "model" else f"the dataset {self.id}"

    @property
    def page(self) -> str:
        return f"https://huggingface.co/{'' if self.kind == 'model' else 'datasets/'}{self.id}"

    @property
    def download(self) -> str:
        """The command that puts it into the local cache, for a machine with a network."""
        words = ["hf download", self.id]
        words += ["--repo-type dataset"] if self.kind == "dataset" else []
        words += [f"--revision {self.revision}"] if self.revision else []
        return " ".join(words)

    def mend(self, there: bool) -> str:
        """What to do about a file that is unusable: it is there, and broken, or it is missing."""
        return f"Run `{self.download}{' --force-download' if there else ''}`."


@contextmanager
def hub_errors(repo: Repo, action: Action) -> Iterator[None]:
    """Turns whatever the hub's library raises inside into an EngineError of one line.

    A server that is no hub makes it stumble anywhere over what it was sent, with any exception there is.
    """
    bound_waiting()
    try:
        yield
    except EngineError:
        raise
    except Exception as error:
        raise hub_error(error, repo, action) or _broken(error, repo, action) from error


def hub_error(error: BaseException, repo: Repo, action: Action) -> EngineError | None:
    """The EngineError for an error of the hub's library, or for what caused it; None if it is about neither
    the hub, nor the network, nor the disk.
    """
    causes = _chain(error)
    for cause in causes:
        if told := _told(cause, repo, action):
            return told
    if any(isinstance(cause, LocalEntryNotFoundError | ConnectionError) for cause in causes):
        return offline(repo, action) if constants.HF_HUB_OFFLINE else _unreachable(error, repo, action)
    return None


def offline(repo: Repo, action: Action, lacking: Sequence[str] = ()) -> HubError:
    """The network is switched off; `lacking` names what the local copy does not have, if there is a copy."""
    text = f"Cannot {action} {repo.title}: the network is switched off (HF_HUB_OFFLINE is set)"
    if action == "upload to":
        return HubError("hub.offline", f"{text}. Unset it.", case="upload", action=action, repo=repo.id)
    absent = "does not hold " + ("that revision of it" if repo.revision else "it")
    text += f" and the local cache {lacks(lacking) if lacking else absent}"
    way_out = f"Unset it, or run `{repo.download}` where there is a network."
    return HubError(
        "hub.offline",
        f"{text}. {way_out}",
        action=action,
        repo=repo.id,
        lacking=list(lacking),
        command=repo.download,
    )


def gated(repo: Repo, action: Action) -> HubError:
    """The repo is there, and its files are for those who were let in."""
    text = f"Cannot {action} {repo.title}: its authors grant access one by one: ask on {repo.page}, then {LOGIN}."
    return HubError("hub.gated", text, action=action, repo=repo.id, page=repo.page)


def not_found(repo: Repo, action: Action) -> HubError:
    """The hub knows no such repo, or says so to whoever may not see it."""
    on_disk = Path(repo.id).exists()
    here = f'; for {repo.id} on this disk, set source = "local"' if on_disk else ""
    text = f"Cannot {action} {repo.title}: there is no such repo, or it is private: check the id, or {LOGIN}{here}."
    case = "on_disk" if on_disk else ""
    return HubError("hub.not_found", text, action=action, repo=repo.id, page=repo.page, case=case)


def lacks(names: Sequence[str]) -> str:
    """Which files an incomplete copy is without."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return one_line(f"is incomplete: it lacks {', '.join(names[:3])}{more}")


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what it was raised from, outermost first."""
    causes: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in causes:
        causes.append(following)
        following = following.__cause__ or following.__context__
    return causes


def _told(error: BaseException, repo: Repo, action: Action) -> EngineError | None:
    if isinstance(error, HFValidationError):
        text = f'"{one_line(repo.id)}" is not a repo id: expected owner/name, as on huggingface.co.'
        return UsageError("hub.bad_id", text, repo=repo.id)
    if isinstance(error, HfHubHTTPError):
        return _refused(error, repo, action)
    if isinstance(error, OfflineModeIsEnabled):
        return offline(repo, action)
    if isinstance(error, FileMetadataError):
        return _no_hub(repo, action)
    if isinstance(error, HTTPError) or "Timeout" in type(error).__name__:
        return _unreachable(error, repo, action)
    if isinstance(error, OSError) and error.errno in REFUSED_BY_DISK:
        return _cannot_write(error, repo)
    if isinstance(error, OSError) and str(error).startswith(CUT_SHORT):
        return _failed(error, repo, action)
    if found := XET_STATUS.search(str(error)):
        status = int(found[1])
        lacks_xet = status == 404 and "/xet-" in str(error)
        return _no_xet(repo, action) if lacks_xet else _answered(status, error, repo, action)
    return None


def _refused(error: HfHubHTTPError, repo: Repo, action: Action) -> HubError:
    """The hub answered, and not with what was asked for."""
    status = int(error.response.status_code)
    if isinstance(error, GatedRepoError):
        return gated(repo, action)
    if isinstance(error, RevisionNotFoundError):
        code, why = "hub.no_revision", _no_revision(repo)
    elif isinstance(error, RemoteEntryNotFoundError):
        code, why = "hub.no_file", f"a file that it lists is not there. Look at {repo.page}, and try again"
    elif "Invalid credentials" in (error.server_message or ""):
        code, why = (
            "hub.auth",
            f"the hub does not know this login ({status}): it has expired. To renew it, {LOGIN}",
        )
    elif isinstance(error, RepositoryNotFoundError):
        return not_found(repo, action)
    else:
        return _answered(status, error, repo, action)
    return _because(code, why, repo, action, status=status)


def _answered(status: int, error: BaseException, repo: Repo, action: Action) -> HubError:
    """By the status of the answer alone."""
    detail = ""
    rights = "may write there" if action == "upload to" else "has access to it"
    if status in (401, 403):
        code, why = "hub.auth", f"the hub wants a login that {rights} ({status}): {LOGIN}"
    elif status == 404:
        return not_found(repo, action)
    elif status == 429:
        code, why = "hub.rate_limit", _too_many(error)
    elif status >= 500:
        code = "hub.down"
        why = f"the hub has a fault ({status}). Try again later; see https://status.huggingface.co"
    else:
        said = getattr(error, "server_message", None) or str(error)
        detail = first_line(said)
        code, why = "hub.refused", f"the hub answered {status}: {detail}"
    return _because(code, why, repo, action, status=status, detail=detail)


def _because(code: str, why: str, repo: Repo, action: Action, **params: Any) -> HubError:
    text = f"Cannot {action} {repo.title}: {why}."
    return HubError(code, text, action=action, repo=repo.id, revision=repo.revision, page=repo.page, **params)


def _no_revision(repo: Repo) -> str:
    named = f'"{one_line(repo.revision)}"' if repo.revision else "of that name"
    return f"it has no revision {named}: see its branches and tags on {repo.page}/tree/main"


def _too_many(error: BaseException) -> str:
    response: Any = getattr(error, "response", None)
    seconds = seconds_to_wait(response) if response is not None else None
    wait = f"Wait {seconds:,} seconds" if seconds else "Wait some minutes"
    return f"too many requests (429). {wait}, or {LOGIN}: that raises the limit"


def _unreachable(error: BaseException, repo: Repo, action: Action) -> HubError:
    """The connection: it never stood, nothing came over it in time, or it broke off."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "timeout" in type(error).__name__.lower():
        code, why = "hub.timeout", "gave no answer in time"
    elif kinds & PASSING_BREAKS:
        code, why = "hub.broken", "broke the connection off"
    else:
        code, why = "hub.unreachable", "cannot be reached"
    text = (
        f"Cannot {action} {repo.title}: {constants.ENDPOINT} {why}. "
        "Check the network and HF_ENDPOINT, then try again"
    )
    kept = ": files that are complete are kept." if action == "download" else "."
    return HubError(code, text + kept, action=action, repo=repo.id, endpoint=constants.ENDPOINT)


def _no_hub(repo: Repo, action: Action) -> HubError:
    return HubError(
        "hub.no_hub",
        f"Cannot {action} {repo.title}: {constants.ENDPOINT} answers, but not as a Hugging Face hub does. "
        "Check HF_ENDPOINT, and whether a proxy or a login page stands in between.",
        action=action,
        repo=repo.id,
        endpoint=constants.ENDPOINT,
    )


def _no_xet(repo: Repo, action: Action) -> HubError:
    text = (
        f"Cannot {action} {repo.title}: {constants.ENDPOINT} has no Xet storage, which huggingface_hub prefers. "
        "To do without, set HF_HUB_DISABLE_XET=1."
    )
    return HubError("hub.no_xet", text, action=action, repo=repo.id, endpoint=constants.ENDPOINT)


def _cannot_write(error: OSError, repo: Repo) -> CannotWriteError:
    return CannotWriteError(
        "hub.cache_unwritable",
        f"Cannot keep {repo.title} in {constants.HF_HUB_CACHE}: {first_line(error)}. "
        "Free space there, or set HF_HOME to another folder.",
        repo=repo.id,
        path=str(constants.HF_HUB_CACHE),
        detail=first_line(error),
    )


def _broken(error: BaseException, repo: Repo, action: Action) -> HubError:
    """What is left: an answer that the library could not read, or a transfer that came out wrong."""
    if isinstance(error, json.JSONDecodeError | LookupError | TypeError | AttributeError):
        return _no_hub(repo, action)
    return _failed(error, repo, action)


def _failed(error: BaseException, repo: Repo, action: Action) -> HubError:
    detail = first_line(error)
    text = f"Cannot {action} {repo.title}: the transfer failed ({detail}). Try again."
    return HubError("hub.broken", text, case="failed", action=action, repo=repo.id, detail=detail)


def first_line(error: object) -> str:
    """The first line of an error's text, without its full stop, fit for a terminal."""
    lines = str(error).strip().splitlines()
    return one_line(lines[0][:300]).rstrip(".") if lines else type(error).__name__
