"""The Hugging Face hub: a model's snapshot, an upload, and each way these fail as one line with a way out."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from huggingface_hub import HfApi, constants, get_token, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils._validators import validate_repo_id

from engine.exits import CannotWriteError, EngineError, HubError, UsageError

WEIGHTS = ("*.safetensors", "*.json")
TOKENIZER = ("tokenizer*", "*.model", "*.txt", "*.jinja", "*.tiktoken")
CODE = ("*.py",)
CARD = ("README.md",)
NESTED = ("*/*",)
"""Folders of a repo hold other formats of the same weights (onnx, original): never what is trained."""

LOGIN = "Log in with `hf auth login`, or set HF_TOKEN"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

HTTPError: type[BaseException] = HfHubHTTPError.__bases__[0]
"""The HTTP client's own base class, whichever client this release of huggingface_hub is built on."""


@cache
def snapshot(repo: str, revision: str | None, *, code: bool) -> tuple[Path, str]:
    """Downloads what training needs of a model repo; the folder, and the commit its revision stands for.

    A process asks once: the tokenizer and the model it loads are of one commit, even if the branch moves.
    """
    patterns = [*WEIGHTS, *TOKENIZER, *CARD, *(CODE if code else ())]
    with hub_errors(repo, "download"):
        folder = Path(
            snapshot_download(repo, revision=revision, allow_patterns=patterns, ignore_patterns=list(NESTED))
        )
    return folder, folder.name


def upload(folder: Path, repo: str, *, private: bool) -> str:
    """Creates the repo if need be and uploads the folder as one commit; the repo's address.

    The token comes from the environment or from `hf auth login`, and from nowhere else. Raises HubError, also
    where `private` is asked for and the repo is there already, public.
    """
    api = HfApi(token=require_login(repo))
    with hub_errors(repo, "upload to"):
        address = api.create_repo(repo, private=private, exist_ok=True)
        if private and not api.repo_info(address.repo_id).private:
            raise HubError(
                "hub.public",
                f"Cannot upload to {repo}: it is there already, and everyone can see it. Add --public (or set "
                "private = false in [export]) if that is meant, or choose another repo.",
                repo=repo,
            )
        api.upload_folder(
            repo_id=address.repo_id, folder_path=folder, commit_message="Upload a model trained with dpo-tui"
        )
    return str(address)


def require_repo_id(repo: str) -> None:
    """Raises UsageError for what is no repo id, before anybody waits for an export to upload."""
    with hub_errors(repo, "upload to"):
        validate_repo_id(repo)


def require_login(repo: str) -> str:
    """The token an upload to `repo` will use. Raises HubError where there is none."""
    token = get_token()
    if not token:
        raise HubError("hub.no_token", f"Cannot upload to {repo}: not logged in. {LOGIN}.", repo=repo)
    return token


@contextmanager
def hub_errors(repo: str, action: str) -> Iterator[None]:
    """Turns whatever the hub's library raises inside into an EngineError of one line.

    action: "download" or "upload to", the verb of the message.
    """
    try:
        yield
    except (HFValidationError, HTTPError, OSError) as error:
        raise translated(error, repo, action) from error


def translated(error: BaseException, repo: str, action: str) -> EngineError:
    """The EngineError for an error of the hub's library; its cause decides where it wraps another."""
    if isinstance(error, HFValidationError):
        return UsageError(
            "hub.bad_id", f'"{repo}" is not a repo id: expected owner/name, as on huggingface.co.', repo=repo
        )
    if isinstance(error, LocalEntryNotFoundError):
        cause = error.__cause__
        return (
            translated(cause, repo, action)
            if isinstance(cause, HTTPError | OSError)
            else _offline(repo, action)
        )
    if isinstance(error, OfflineModeIsEnabled):
        return _offline(repo, action)
    if isinstance(error, HfHubHTTPError):
        return _refused(error, repo, action)
    if isinstance(error, HTTPError):
        return _unreachable(error, repo, action)
    return _cannot_write(error, repo)


def _refused(error: HfHubHTTPError, repo: str, action: str) -> HubError:
    """The hub answered, and not with what was asked for."""
    status = int(error.response.status_code)
    if isinstance(error, GatedRepoError):
        code, why = "hub.gated", f"its authors grant access one by one: ask on {_page(repo)}, then {_login()}"
    elif isinstance(error, RevisionNotFoundError):
        code, why = "hub.no_revision", f"it has no such revision: see the branches and tags on {_page(repo)}"
    elif status in (401, 403):
        code, why = "hub.auth", f"the hub wants a login with access to it ({status}). {LOGIN}"
    elif isinstance(error, RepositoryNotFoundError) or status == 404:
        code, why = "hub.not_found", f"there is no such repo, or it is private: check the id, or {_login()}"
    elif status == 429:
        code, why = (
            "hub.rate_limit",
            f"too many requests (429). Wait some minutes, or {_login()} for a higher limit",
        )
    elif status >= 500:
        code, why = (
            "hub.down",
            f"the hub has a fault ({status}). Try again later; see https://status.huggingface.co",
        )
    else:
        code, why = (
            "hub.refused",
            f"the hub answered {status}: {_first_line(error.server_message or str(error))}",
        )
    return HubError(code, f"Cannot {action} {repo}: {why}.", repo=repo, status=status)


def _unreachable(error: BaseException, repo: str, action: str) -> HubError:
    timeout = "timeout" in type(error).__name__.lower()
    code, why = (
        ("hub.timeout", "gave no answer in time") if timeout else ("hub.unreachable", "cannot be reached")
    )
    return HubError(
        code,
        f"Cannot {action} {repo}: {constants.ENDPOINT} {why}. "
        "Check the network and HF_ENDPOINT, then try again.",
        repo=repo,
        endpoint=constants.ENDPOINT,
    )


def _offline(repo: str, action: str) -> HubError:
    text = f"Cannot {action} {repo}: the network is switched off (HF_HUB_OFFLINE is set). Unset it"
    if action == "download":
        text += f", or run `hf download {repo}` where there is a network: the local cache is incomplete"
    return HubError("hub.offline", f"{text}.", repo=repo)


def _cannot_write(error: BaseException, repo: str) -> EngineError:
    """What is left is the local disk (the cache folder), or a connection that broke below HTTP."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (*NO_SPACE, errno.EACCES, errno.EROFS, errno.EPERM):
        return CannotWriteError(
            "hub.cache_unwritable",
            f"Cannot keep {repo} in {constants.HF_HUB_CACHE}: {_first_line(error)}. "
            "Free space there, or set HF_HOME to another folder.",
            repo=repo,
            path=str(constants.HF_HUB_CACHE),
        )
    return HubError(
        "hub.broken",
        f"The transfer of {repo} failed: {_first_line(error)}. Try again: it resumes.",
        repo=repo,
    )


def _page(repo: str) -> str:
    return f"https://huggingface.co/{repo}"


def _login() -> str:
    return LOGIN[0].lower() + LOGIN[1:]


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
