"""From `[model]` to files on this disk, checked before anything heavy is loaded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from engine.config.schema import Model
from engine.exits import UnusableError
from engine.models.builtin import builtin_file, builtin_model
from engine.models.hub import snapshot
from engine.models.weights import safetensors_problem

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")


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
        return self.id if self.source == "hub" else Path(self.id).expanduser().resolve().name


def resolve(model: Model) -> ResolvedModel:
    """Finds the model's files, downloading them from the hub if need be, and checks that they can be trained.

    Raises UnusableError (no safetensors, files missing or cut off, unknown or quantised architecture),
    HubError, EnvironmentUnfitError (a built-in that is not installed), UsageError (no such built-in or id).
    """
    if model.source == "builtin":
        return _gguf(model, builtin_file(model.id))
    if model.source == "hub":
        folder, commit = snapshot(model.id, model.revision, code=model.trust_remote_code)
        _check_folder(folder, model, bare=model.id)
        return ResolvedModel("hub", model.id, folder, None, commit, model.trust_remote_code)
    return _resolve_local(model, Path(model.id).expanduser())


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


def _check_folder(folder: Path, model: Model, bare: str) -> None:
    """A transformers folder: config, whole safetensors, an architecture that can be trained."""
    if (folder / "adapter_config.json").is_file():
        raise _unusable(
            "model.is_adapter",
            f"{bare} holds a LoRA adapter, not a whole model. Merge it into its base, and train that.",
            model,
        )
    config = _read_config(folder / "config.json", model, bare)
    _check_architecture(config, model, bare)
    _check_weights(folder, model, bare)


def _read_config(path: Path, model: Model, bare: str) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise _unusable(
            "model.no_config", f"{bare} has no config.json: it is not a transformers model.", model
        ) from error
    except (OSError, ValueError) as error:
        raise _unusable(
            "model.bad_config", f"{bare}: config.json cannot be read ({error}).", model
        ) from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise _unusable("model.bad_config", f'{bare}: config.json names no "model_type".', model)
    return config


def _check_architecture(config: Mapping[str, Any], model: Model, bare: str) -> None:
    kind = config["model_type"]
    auto_map = config.get("auto_map") or {}
    if config.get("quantization_config"):
        raise _unusable(
            "model.quantized",
            f"{bare} is quantised, and such weights cannot be trained. "
            "Use the unquantised model it was made from.",
            model,
        )
    if kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return
    if "AutoModelForCausalLM" in auto_map:
        if not model.trust_remote_code:
            raise _unusable(
                "model.remote_code",
                f'{bare} is of type "{kind}", which transformers does not know; it ships its own Python '
                "code. Read that code, and if you trust its authors set trust_remote_code = true.",
                model,
            )
        return
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
    )


def _check_weights(folder: Path, model: Model, bare: str) -> None:
    files = _weight_files(folder, model, bare)
    for name in files:
        path = folder / name
        problem = safetensors_problem(path) if path.is_file() else "it is missing"
        if problem:
            raise _unusable(
                "model.broken_file",
                f"{bare}: {name} is unusable: {problem}. Download the model again.",
                model,
            )


def _weight_files(folder: Path, model: Model, bare: str) -> list[str]:
    if (folder / INDEX).is_file():
        try:
            weight_map = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
            return sorted({str(Path(name).name) for name in weight_map.values()})
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise _unusable("model.broken_file", f"{bare}: {INDEX} is not a weights index.", model) from error
    if (folder / SINGLE).is_file():
        return [SINGLE]
    pickled = model.source == "hub" or any(file.suffix in PICKLES for file in folder.iterdir())
    raise _unusable(
        "model.no_safetensors",
        f"{bare} has no {SINGLE}"
        + (
            ": pickled weights (.bin, .pt) can run code when they are opened and are not read. Use a "
            "safetensors version of the model, or convert it with https://huggingface.co/spaces/safetensors/convert."
            if pickled
            else " nor an index of several. Is the folder complete?"
        ),
        model,
    )


def _unusable(code: str, text: str, model: Model) -> UnusableError:
    return UnusableError(code, text, id=model.id)
