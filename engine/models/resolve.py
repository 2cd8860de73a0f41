"""From `[model]` to files on this disk, checked before anything heavy is loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.config.local import expanded
from engine.config.schema import HUBS, Model
from engine.models.builtin import builtin_file, builtin_model
from engine.models.checks import (
    check_description,
    check_folder,
    check_tokenizer,
    check_weights,
    trusted,
    unusable,
)
from engine.models.hub_errors import Repo
from engine.models.hubs import download, repo_of


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model whose files are here and look whole."""

    source: Literal["hub", "modelscope", "local", "builtin"]
    id: str
    """As the config says it: repo id, folder, file or builtin name."""
    path: Path
    """The folder that holds the files."""
    gguf_file: str | None
    """Name of the GGUF file in the folder; None for safetensors."""
    commit: str | None
    """The commit on the hub or on ModelScope; None for what is from neither."""
    trust_remote_code: bool

    @property
    def public_id(self) -> str:
        """What a published card may call it: a repo id, or a bare name without the machine's directories."""
        if self.source == "builtin":
            return builtin_model(self.id).origin
        return self.id if self.source in HUBS else expanded(self.id).resolve().name

    @property
    def repo(self) -> Repo | None:
        """The repo it was downloaded from, at its commit."""
        return repo_of(self.source, self.id, self.commit) if self.source in HUBS else None


def resolve(model: Model) -> ResolvedModel:
    """Finds the model's files, downloading them if need be, and checks that they can be trained.

    Raises UnusableError (no safetensors, files missing or cut off, unknown or quantised architecture),
    HubError, EnvironmentUnfitError (a built-in, or ModelScope's package, that is not installed), UsageError (no
    such built-in or id).
    """
    if model.source == "builtin":
        return _gguf(model, builtin_file(model.id))
    if model.source in HUBS:
        found = _downloaded(model, weights=True)
        check_folder(found.path, model, bare=model.id, repo=found.repo)
        return found
    return _resolve_local(model, expanded(model.id))


def glance(model: Model) -> ResolvedModel:
    """As `resolve`, without the weights of a model of a hub: of those not yet here only the names are checked."""
    if model.source not in HUBS:
        return resolve(model)
    found = _downloaded(model, weights=False)
    names = check_description(found.path, model, model.id, found.repo)
    if all((found.path / name).is_file() for name in names):
        check_weights(found.path, names, model, model.id, found.repo)
    check_tokenizer(found.path, model, model.id, found.repo)
    return found


def _downloaded(model: Model, *, weights: bool) -> ResolvedModel:
    folder, commit = download(model, weights=weights)
    return ResolvedModel(model.source, model.id, folder, None, commit, trusted(model, folder))


def _resolve_local(model: Model, path: Path) -> ResolvedModel:
    if path.is_file() and path.suffix == ".gguf":
        return _gguf(model, path)
    if not path.is_dir():
        on_hub = model.id.count("/") == 1 and not model.id.startswith(("/", ".", "~"))
        raise unusable(
            "model.not_found",
            f"{path}: no such model folder or .gguf file"
            + ('. For a repo on the hub write source = "hub".' if on_hub else "."),
            model,
        )
    files = sorted(path.glob("*.gguf"))
    if not (path / "config.json").is_file() and files:
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            raise unusable("model.many_gguf", f"{path} holds several models: give one of {names}.", model)
        return _gguf(model, files[0])
    check_folder(path, model, bare=str(path))
    return ResolvedModel("local", model.id, path.resolve(), None, None, trusted(model, path))


def _gguf(model: Model, file: Path) -> ResolvedModel:
    return ResolvedModel(model.source, model.id, file.resolve().parent, file.resolve().name, None, False)
