"""Whether a folder holds a model that can be trained, before anything heavy is loaded; and what to do where not."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from engine.config.schema import Model
from engine.exits import UnusableError
from engine.models.families import FAMILIES, family_in
from engine.models.hub_errors import Repo
from engine.models.hubs import repo_files
from engine.models.weights import safetensors_problem
from engine.sanitize import one_line

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
VOCABULARIES = ("tokenizer.json", "*.model", "vocab.*", "*.tiktoken", "tekken.json")
"""One of these every tokenizer needs: without one some classes would come up empty, and say nothing."""


def trusted(model: Model, folder: Path) -> bool:
    """Whether code of the repo may run: never where it is not needed."""
    return model.trust_remote_code and family_in(folder) is None


def check_folder(folder: Path, model: Model, bare: str, repo: Repo | None = None) -> None:
    """A transformers folder: config, tokenizer, whole safetensors, an architecture that can be trained.

    repo: where on the hub it is from; with it the messages can tell what the repo lacks from what the cache lacks.
    """
    names = check_description(folder, model, bare, repo)
    check_weights(folder, names, model, bare, repo)
    check_tokenizer(folder, model, bare, repo)


def check_description(folder: Path, model: Model, bare: str, repo: Repo | None) -> list[str]:
    """All but the weights themselves; the names of their files."""
    if (folder / "adapter_config.json").is_file():
        raise unusable(
            "model.is_adapter",
            f"{bare} holds a LoRA adapter, not a whole model. Merge it into its base, and train that.",
            model,
        )
    config = _read_config(folder / "config.json", model, bare, repo)
    _check_architecture(config, model, bare)
    if trusted(model, folder):
        _check_code_origin(folder, model, bare)
    return weight_files(folder, model, bare, repo)


def check_tokenizer(folder: Path, model: Model, bare: str, repo: Repo | None) -> None:
    """A tokenizer's file is there. Raises UnusableError."""
    if not any(next(folder.glob(pattern), None) for pattern in VOCABULARIES):
        raise unusable(
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
        raise unusable("model.no_config", text.strip(), model) from error
    except (OSError, ValueError) as error:
        raise unusable(
            "model.bad_config",
            f"{bare}: config.json cannot be read ({error}).",
            model,
            case="unreadable",
            detail=str(error),
        ) from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise unusable("model.bad_config", f'{bare}: config.json names no "model_type".', model)
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
        raise unusable(
            "model.quantized",
            f"{bare} is quantised, and such weights cannot be trained. "
            "Use the unquantised model it was made from.",
            model,
        )
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or kind in FAMILIES:
        return
    if isinstance(auto_map, dict) and "AutoModelForCausalLM" in auto_map:
        if model.trust_remote_code:
            return
        file = str(auto_map["AutoModelForCausalLM"]).rpartition(".")[0]
        raise unusable(
            "model.remote_code",
            f'{bare} is of type "{kind}", which transformers does not know; it ships its own Python code '
            f"({one_line(file)}.py). Read that code, and if you trust its authors set trust_remote_code = true.",
            model,
            kind=kind,
            file=f"{file}.py",
        )
    known = kind in CONFIG_MAPPING_NAMES
    raise unusable(
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
            raise unusable(
                "model.code_elsewhere",
                f"{bare} takes code from another repo, {one_line(elsewhere[1])}, at whatever commit is newest there "
                f"({name}, auto_map). Use a model that holds its own code, or a local copy with the code in it.",
                model,
            )


def check_weights(folder: Path, names: Sequence[str], model: Model, bare: str, repo: Repo | None) -> None:
    """Every file of weights is there and whole. Raises UnusableError."""
    for name in names:
        path = folder / name
        problem = safetensors_problem(path) if path.is_file() else "it is missing"
        if problem:
            way_out = repo.mend(path.is_file()) if repo else "Download the model again."
            text = f"{bare}: {name} is unusable: {problem}. {way_out}"
            raise unusable("model.broken_file", text, model, file=name)


def weight_files(folder: Path, model: Model, bare: str, repo: Repo | None = None) -> list[str]:
    """The names of the weights' files. Raises UnusableError for a model that has none of the right kind."""
    if (folder / INDEX).is_file():
        try:
            weight_map = _json(folder / INDEX)["weight_map"]
            return sorted({str(Path(name).name) for name in weight_map.values()})
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            text = f"{bare}: {INDEX} is not a weights index."
            raise unusable("model.broken_file", text, model, file=INDEX) from error
    if (folder / SINGLE).is_file() or (repo and SINGLE in repo_files(repo)):
        return [SINGLE]
    instead = _instead(_listed(folder, repo), repo)
    raise unusable("model.no_safetensors", f"{bare} has no {SINGLE}{instead}", model)


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


def unusable(code: str, text: str, model: Model, **params: str) -> UnusableError:
    """That a model cannot be trained, and why."""
    return UnusableError(code, text, id=model.id, **params)
