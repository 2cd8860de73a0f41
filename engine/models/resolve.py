"""From `[model]` to files on this disk, checked before anything heavy is loaded."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from engine.config.local import expanded
from engine.config.schema import Model
from engine.exits import UnusableError
from engine.models.builtin import builtin_file, builtin_model
from engine.models.hub import repo_files, snapshot
from engine.models.hub_errors import Repo
from engine.models.weights import safetensors_problem
from engine.sanitize import one_line

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
VOCABULARIES = ("tokenizer.json", "*.model", "vocab.*", "*.tiktoken", "tekken.json")
"""One of these every tokenizer needs: without one some classes would come up empty, and say nothing."""


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model whose files are here and look whole."""

    source: Literal["hub", "local", "builtin"]
    id: str
    """As the config says it: repo id, folder, file or builtin name."""
    path: Path
    """The folder that holds the files."""
    gguf_file: str | None
    """Name of the GGUF file in the folder; None for safetensors."""
    commit: str | None
    """The hub commit; None for what is not from the hub."""
    trust_remote_code: bool

    @property
    def public_id(self) -> str:
        """What a published card may call it: a hub id, or a bare name without the machine's directories."""
        if self.source == "builtin":
            return builtin_model(self.id).origin
        return self.id if self.source == "hub" else expanded(self.id).resolve().name


def resolve(model: Model) -> ResolvedModel:
    """Finds the model's files, downloading them from the hub if need be, and checks that they can be trained.

    Raises UnusableError (no safetensors, files missing or cut off, unknown or quantised architecture),
    HubError, EnvironmentUnfitError (a built-in that is not installed), UsageError (no such built-in or id).
    """
    if model.source == "builtin":
        return _gguf(model, builtin_file(model.id))
    if model.source == "hub":
        folder, commit = snapshot(model.id, model.revision, code=model.trust_remote_code)
        _check_folder(folder, model, bare=model.id, repo=Repo(model.id, "model", commit))
        return ResolvedModel("hub", model.id, folder, None, commit, model.trust_remote_code)
    return _resolve_local(model, expanded(model.id))


def glance(model: Model) -> ResolvedModel:
    """As `resolve`, without the weights of a hub model: of those not yet here only the names are checked."""
    if model.source != "hub":
        return resolve(model)
    folder, commit = snapshot(model.id, model.revision, code=model.trust_remote_code, weights=False)
    repo = Repo(model.id, "model", commit)
    names = _check_description(folder, model, model.id, repo)
    if all((folder / name).is_file() for name in names):
        _check_weights(folder, names, model, model.id, repo)
    _check_tokenizer(folder, model, model.id, repo)
    return ResolvedModel("hub", model.id, folder, None, commit, model.trust_remote_code)


def _resolve_local(model: Model, path: Path) -> ResolvedModel:
    if path.is_file() and path.suffix == ".gguf":
        return _gguf(model, path)
    if not path.is_dir():
        on_hub = model.id.count("/") == 1 and not model.id.startswith(("/", ".", "~"))
        raise _unusable(
            "model.not_found",
            f"{path}: no such model folder or .gguf file"
            + ('. For a repo on the hub write source = "hub".' if on_hub else "."),
            model,
        )
    files = sorted(path.glob("*.gguf"))
    if not (path / "config.json").is_file() and files:
        if len(files) > 1:
            names = ", ".join(file.name for file in files)
            raise _unusable("model.many_gguf", f"{path} holds several models: give one of {names}.", model)
        return _gguf(model, files[0])
    _check_folder(path, model, bare=str(path))
    return ResolvedModel("local", model.id, path.resolve(), None, None, model.trust_remote_code)


def _gguf(model: Model, file: Path) -> ResolvedModel:
    return ResolvedModel(model.source, model.id, file.resolve().parent, file.resolve().name, None, False)


def _check_folder(folder: Path, model: Model, bare: str, repo: Repo | None = None) -> None:
    """A transformers folder: config, tokenizer, whole safetensors, an architecture that can be trained.

    repo: where on the hub it is from; with it the messages can tell what the repo lacks from what the cache lacks.
    """
    names = _check_description(folder, model, bare, repo)
    _check_weights(folder, names, model, bare, repo)
    _check_tokenizer(folder, model, bare, repo)


def _check_description(folder: Path, model: Model, bare: str, repo: Repo | None) -> list[str]:
    """All but the weights themselves; the names of their files."""
    if (folder / "adapter_config.json").is_file():
        raise _unusable(
            "model.is_adapter",
            f"{bare} holds a LoRA adapter, not a whole model. Merge it into its base, and train that.",
            model,
        )
    config = _read_config(folder / "config.json", model, bare, repo)
    _check_architecture(config, model, bare)
    if model.trust_remote_code:
        _check_code_origin(folder, model, bare)
    return weight_files(folder, model, bare, repo)


def _check_tokenizer(folder: Path, model: Model, bare: str, repo: Repo | None) -> None:
    if not any(next(folder.glob(pattern), None) for pattern in VOCABULARIES):
        raise _unusable(
            "model.no_tokenizer",
            f"{bare} has no tokenizer: expected tokenizer.json or tokenizer.model beside config.json. "
            + (_if_incomplete(repo) if repo else "Copy the tokenizer's files there."),
            model,
        )


def _read_config(path: Path, model: Model, bare: str, repo: Repo | None) -> Mapping[str, Any]:
    try:
        config = _json(path)
    except FileNotFoundError as error:
        packed = [name for name in _listed(path.parent, repo) if name.endswith(".gguf")]
        way_out = _if_incomplete(repo) if repo else ""
        if packed:
            way_out = "It" + _instead(packed, repo).removeprefix(": it")
        text = f"{bare} has no config.json: it is not a transformers model. {way_out}"
        raise _unusable("model.no_config", text.strip(), model) from error
    except (OSError, ValueError) as error:
        raise _unusable(
            "model.bad_config",
            f"{bare}: config.json cannot be read ({error}).",
            model,
            case="unreadable",
            detail=str(error),
        ) from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise _unusable("model.bad_config", f'{bare}: config.json names no "model_type".', model)
    return config


def _json(path: Path) -> Any:
    """What a JSON file holds. Raises OSError, and ValueError for what is not JSON or is nested without end."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _check_architecture(config: Mapping[str, Any], model: Model, bare: str) -> None:
    kind = config["model_type"]
    auto_map = config.get("auto_map")
    if config.get("quantization_config"):
        raise _unusable(
            "model.quantized",
            f"{bare} is quantised, and such weights cannot be trained. "
            "Use the unquantised model it was made from.",
            model,
        )
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return
    if isinstance(auto_map, dict) and "AutoModelForCausalLM" in auto_map:
        if model.trust_remote_code:
            return
        file = str(auto_map["AutoModelForCausalLM"]).rpartition(".")[0]
        raise _unusable(
            "model.remote_code",
            f'{bare} is of type "{kind}", which transformers does not know; it ships its own Python code '
            f"({one_line(file)}.py). Read that code, and if you trust its authors set trust_remote_code = true.",
            model,
            kind=kind,
            file=f"{file}.py",
        )
    known = kind in CONFIG_MAPPING_NAMES
    raise _unusable(
        "model.not_causal" if known else "model.unknown_type",
        f'{bare} is of type "{kind}", '
        + (
            "which does not generate text from left to right: DPO needs a causal language model."
            if known
            else "which this transformers does not know. A newer one may: pip install -U transformers."
        ),
        model,
        kind=kind,
    )


def _check_code_origin(folder: Path, model: Model, bare: str) -> None:
    """Trust is in one repo at one commit: `"auto_map": "owner/other--file.Class"` is code of neither."""
    for name in ("config.json", "tokenizer_config.json"):
        try:
            auto_map = _json(folder / name).get("auto_map")
        except (OSError, ValueError, AttributeError):
            continue
        if elsewhere := re.search(r'"([^"]+)--', json.dumps(auto_map)):
            raise _unusable(
                "model.code_elsewhere",
                f"{bare} takes code from another repo, {one_line(elsewhere[1])}, at whatever commit is newest there "
                f"({name}, auto_map). Use a model that holds its own code, or a local copy with the code in it.",
                model,
            )


def _check_weights(folder: Path, names: Sequence[str], model: Model, bare: str, repo: Repo | None) -> None:
    for name in names:
        path = folder / name
        problem = safetensors_problem(path) if path.is_file() else "it is missing"
        if problem:
            force = " --force-download" if path.is_file() else ""
            way_out = f"Run `{repo.download}{force}`." if repo else "Download the model again."
            text = f"{bare}: {name} is unusable: {problem}. {way_out}"
            raise _unusable("model.broken_file", text, model, file=name)


def weight_files(folder: Path, model: Model, bare: str, repo: Repo | None = None) -> list[str]:
    """The names of the weights' files. Raises UnusableError for a model that has none of the right kind."""
    if (folder / INDEX).is_file():
        try:
            weight_map = _json(folder / INDEX)["weight_map"]
            return sorted({str(Path(name).name) for name in weight_map.values()})
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            text = f"{bare}: {INDEX} is not a weights index."
            raise _unusable("model.broken_file", text, model, file=INDEX) from error
    if (folder / SINGLE).is_file() or (repo and SINGLE in repo_files(repo)):
        return [SINGLE]
    instead = _instead(_listed(folder, repo), repo)
    raise _unusable("model.no_safetensors", f"{bare} has no {SINGLE}{instead}", model)


def _listed(folder: Path, repo: Repo | None) -> list[str]:
    """Everything the model consists of: more than was downloaded, where it is from the hub."""
    return repo_files(repo) if repo else sorted(file.name for file in folder.iterdir())


def _instead(listed: Sequence[str], repo: Repo | None) -> str:
    """What a model without weights of the right kind has instead, and what to do."""
    here = [name for name in listed if "/" not in name]
    if pickled := [name for name in here if name.endswith(PICKLES)]:
        return (
            f": its weights are pickled ({_some(pickled)}), can run code when they are opened, and are not read. Use a "
            "safetensors version of the model, or convert it with https://huggingface.co/spaces/safetensors/convert."
        )
    if packed := [name for name in here if name.endswith(".gguf")]:
        return (
            f": it holds GGUF files ({_some(packed)}). Use the model they were made from, or download one of "
            'them and train that: source = "local", id = its path.'
        )
    others = [name for name in listed if name.endswith(".safetensors")]
    if others:
        return f" nor an index of several, only {_some(others)}, which transformers does not look for."
    return f" nor an index of several. {_if_incomplete(repo) if repo else 'Is the folder complete?'}"


def _if_incomplete(repo: Repo) -> str:
    """For a snapshot whose listing is lost: nobody can tell the repo's fault from the cache's."""
    known = bool(repo_files(repo))
    return f"See {repo.page}." if known else f"If the cache is incomplete, run `{repo.download}`."


def _some(names: Sequence[str]) -> str:
    return one_line(", ".join(names[:3]) + (", ..." if len(names) > 3 else ""))


def _unusable(code: str, text: str, model: Model, **params: str) -> UnusableError:
    return UnusableError(code, text, id=model.id, **params)
