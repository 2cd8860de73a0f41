"""The Hugging Face hub: which commit a revision stands for, a model's snapshot, an upload."""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_cached_repo_tree,
    get_token,
    snapshot_download,
)
from huggingface_hub.errors import CachedRepoTreeNotFoundError, LocalEntryNotFoundError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils._paths import filter_repo_objects
from huggingface_hub.utils._validators import validate_repo_id

from engine.exits import HubError
from engine.models.hub_client import retried
from engine.models.hub_errors import AWAY, LOGIN, Kind, Repo, hub_error, hub_errors, lacks, offline

TENSORS = ("*.safetensors",)
WEIGHTS = (*TENSORS, "*.json")
TOKENIZER = ("tokenizer*", "*.model", "*.txt", "*.jinja", "*.tiktoken")
CODE = ("*.py",)
CARD = ("README.md",)
UNUSED = ("*/*", "consolidated*")
"""Other formats of the same weights, in folders (onnx, original) or beside them: never what is trained."""

COMMIT = re.compile(r"[0-9a-f]{40}")
OUTDATED = re.compile(r"[^/]+\.(safetensors|bin)(\.index\.json)?|adapter_config\.json")
"""What an upload removes from the top of a repo unless it brings it anew: else tools would load old weights."""

_log = logging.getLogger(__name__)


def commit_of(repo: str, revision: str | None, kind: Kind) -> str:
    """The commit (40 hex digits) that a branch, a tag or, with None, the main branch stands for.

    Asks the hub; where that is away, the local cache remembers what the last answer was. Raises HubError.
    """
    if revision and COMMIT.fullmatch(revision):
        return revision
    try:
        with hub_errors(Repo(repo, kind, revision), "find"):
            commit = str(retried(lambda: _info(repo, revision, kind)).sha)
    except HubError as error:
        remembered = _ref(repo, revision, kind)
        if error.code not in AWAY or not remembered.is_file():
            raise
        commit = remembered.read_text(encoding="utf-8").strip()
        if not COMMIT.fullmatch(commit):
            raise
        if error.code != "hub.offline":  # nobody has to be told what they asked for
            _log.warning("%s Going on with commit %s, which the local cache remembers.", error.text, commit)
        return commit
    _remember(commit, _ref(repo, revision, kind))
    return commit


def require_commit(repo: Repo) -> None:
    """Raises HubError unless the hub answers and shows us this repo at this revision."""
    with hub_errors(repo, "download"):
        retried(lambda: _info(repo.id, repo.revision, repo.kind))


def _info(repo: str, revision: str | None, kind: Kind):  # type: ignore[no-untyped-def]
    return HfApi().repo_info(repo, revision=revision, repo_type=kind)


def _ref(repo: str, revision: str | None, kind: Kind) -> Path:
    """Where the cache of huggingface_hub, and so every tool that shares it, notes a branch's commit."""
    folder = repo_folder_name(repo_id=repo, repo_type=kind)
    return Path(constants.HF_HUB_CACHE, folder, "refs", revision or constants.DEFAULT_REVISION)


def _remember(commit: str, ref: Path) -> None:
    """Best effort: a cache that cannot be written to says so when something is downloaded into it."""
    with suppress(OSError):
        ref.parent.mkdir(parents=True, exist_ok=True)
        draft = ref.with_name(f"{ref.name}.{uuid4().hex}")
        draft.write_text(commit, encoding="utf-8")
        os.replace(draft, ref)


@cache
def snapshot(repo: str, revision: str | None, *, code: bool, weights: bool = True) -> tuple[Path, str]:
    """Downloads what training needs of a model repo; the folder, and the commit its revision stands for.

    Without `weights` it is everything else: a few megabytes that tell what the model is. A process asks once: the
    tokenizer and the model it loads are of one commit, even if the branch moves. The folder holds every file of the
    commit that is wanted, or HubError names what is missing.
    """
    patterns = [*WEIGHTS, *TOKENIZER, *CARD, *(CODE if code else ())]
    unwanted = [*UNUSED, *(() if weights else TENSORS)]
    commit = commit_of(repo, revision, "model")
    wanted = Repo(repo, "model", commit)
    with hub_errors(wanted, "download"):
        try:
            folder = retried(
                lambda: snapshot_download(
                    repo, revision=commit, allow_patterns=patterns, ignore_patterns=unwanted
                )
            )
        except LocalEntryNotFoundError as error:
            if told := _incomplete(error, wanted, patterns, unwanted):
                raise told from error
            raise
    return Path(folder), commit


def _incomplete(
    error: LocalEntryNotFoundError, repo: Repo, patterns: Sequence[str], unwanted: Sequence[str]
) -> HubError | None:
    """The hub is away, and the cache has a part of what is wanted: with the names of the rest. Else None."""
    here = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=repo.id, repo_type=repo.kind))
    wanted = filter_repo_objects(
        list(listed_sizes(repo)), allow_patterns=list(patterns), ignore_patterns=list(unwanted)
    )
    lacking = [name for name in wanted if not (here / "snapshots" / str(repo.revision) / name).exists()]
    told = hub_error(error, repo, "download")
    if not lacking or told is None or told.code not in AWAY:
        return None
    if constants.HF_HUB_OFFLINE:
        return offline(repo, "download", lacking)
    return HubError(told.code, f"{told.text} The local cache {lacks(lacking)}.", **told.params)


def listed_sizes(repo: Repo) -> dict[str, int]:
    """The files of a model repo at a commit, as listed when it was downloaded; {} where no listing is left."""
    try:
        return {file.path: file.size or 0 for file in get_cached_repo_tree(repo.id, revision=repo.revision)}
    except CachedRepoTreeNotFoundError:
        return {}


def upload(folder: Path, repo: str, *, private: bool) -> str:
    """Creates the repo if need be and uploads the folder's files as one commit; the repo's address.

    Nobody ever sees half a model: until the commit, its last request, the repo stays as it is. Other files of
    the repo stay, but for weights at its top that are not the folder's. The token comes from the environment
    or from `hf auth login`, and from nowhere else. Raises HubError, also where `private` is asked for and the
    repo is there already, public.
    """
    api = HfApi(token=require_login(repo))
    with hub_errors(Repo(repo), "upload to"):
        address = retried(lambda: api.create_repo(repo, private=private, exist_ok=True))
        if private and not retried(lambda: api.repo_info(address.repo_id)).private:
            raise HubError(
                "hub.public",
                f"Cannot upload to {repo}: it is there already, and everyone can see it. Add --public (or set "
                "private = false in [export]) if that is meant, or choose another repo.",
                repo=repo,
            )
        retried(lambda: _commit(api, folder, address.repo_id))
    return str(address)


def _commit(api: HfApi, folder: Path, repo: str) -> None:
    """`upload_folder` would make a commit every few minutes, each a part of the model for all to load."""
    api.create_commit(
        repo, list(_operations(api, folder, repo)), commit_message="Upload a model trained with dpo-tui"
    )


def _operations(api: HfApi, folder: Path, repo: str) -> Iterator[CommitOperationAdd | CommitOperationDelete]:
    """Made anew for every attempt: huggingface_hub marks them as it goes."""
    files = {
        file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()
    }
    for name, file in files.items():
        yield CommitOperationAdd(name, str(file))
    for name in api.list_repo_files(repo):
        if name not in files and OUTDATED.fullmatch(name):
            yield CommitOperationDelete(name)


def require_repo_id(repo: str) -> None:
    """Raises UsageError for what is no repo id, before anybody waits for an export to upload."""
    with hub_errors(Repo(repo), "upload to"):
        validate_repo_id(repo)


def require_login(repo: str) -> str:
    """The token an upload to `repo` will use. Raises HubError where there is none."""
    token = get_token()
    if not token:
        way_out = LOGIN[0].upper() + LOGIN[1:]
        raise HubError("hub.no_token", f"Cannot upload to {repo}: not logged in. {way_out}.", repo=repo)
    return token
