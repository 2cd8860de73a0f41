"""The hubs that repos come from, behind one face: Hugging Face's, and ModelScope."""

from pathlib import Path

from engine.config.schema import Model
from engine.models import hub
from engine.models.hub_errors import Kind, Repo
from engine.models.modelscope import snapshot as modelscope
from engine.models.modelscope.errors import ScopeRepo


def commit_of(source: str, repo: str, revision: str | None, kind: Kind) -> str:
    """The commit (40 hex digits) that a revision stands for now. Raises HubError, EnvironmentUnfitError."""
    asked = modelscope.commit_of if source == "modelscope" else hub.commit_of
    return asked(repo, revision, kind)


def download(model: Model, *, weights: bool) -> tuple[Path, str]:
    """The folder with what training needs of a model's repo, and its commit; `weights`: with them.

    Code is never downloaded from ModelScope. Raises what `commit_of` raises, and CannotWriteError.
    """
    if model.source == "modelscope":
        return modelscope.snapshot(model.id, model.revision, weights=weights)
    return hub.snapshot(model.id, model.revision, code=model.trust_remote_code, weights=weights)


def repo_of(source: str, name: str, commit: str | None) -> Repo:
    """The model's repo, for messages about it."""
    return (ScopeRepo if source == "modelscope" else Repo)(name, "model", commit)


def listed_sizes(repo: Repo) -> dict[str, int]:
    """The files of a model repo at a commit, as listed when it was downloaded; {} where no listing is left."""
    return modelscope.listed_sizes(repo) if isinstance(repo, ScopeRepo) else hub.listed_sizes(repo)


def repo_files(repo: Repo) -> list[str]:
    """Their names."""
    return list(listed_sizes(repo))
