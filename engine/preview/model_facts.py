"""What a model is, told from its small files and the headers of its weights: no weight is read."""

from collections import Counter
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from gguf import GGMLQuantizationType
from huggingface_hub import HfApi
from huggingface_hub.repocard import metadata_load
from transformers import AutoConfig, PreTrainedTokenizerBase

from engine.config.schema import Model
from engine.exits import EngineError
from engine.models.builtin import builtin_model
from engine.models.checks import weight_files
from engine.models.gguf import require_plain_rope
from engine.models.gguf_file import GgufHeader, read_header
from engine.models.gguf_shape import gguf_shape
from engine.models.hub_errors import Repo, hub_errors
from engine.models.hubs import listed_sizes
from engine.models.load import loading
from engine.models.modelscope.errors import ScopeRepo
from engine.models.resolve import ResolvedModel
from engine.models.weights import stored_sizes
from engine.sanitize import one_line
from engine.shape import ModelShape, shape_of

TYPES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}
"""Names of safetensors' types as a config has them; the others are shown as they are."""

LICENSE = 80
"""Characters shown of a license's name."""


def model_facts(model: Model, resolved: ResolvedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Architecture, size, stored type and shape of a model; null for what cannot be told without its weights.

    Raises UnusableError where training would find that the model cannot be loaded, if that shows here.
    """
    facts = _described(model, resolved)
    licensed = builtin_model(model.id).license if resolved.source == "builtin" else facts.pop("license")
    return {
        **facts,
        "license": licensed,
        "chat_template": bool(tokenizer.chat_template),
        "commit": resolved.commit,
    }


def model_shape(model: Model, resolved: ResolvedModel) -> ModelShape | None:
    """The model's sizes; None where its files do not tell them. Raises what `model_facts` raises."""
    sizes = _described(model, resolved)["shape"]
    return ModelShape(**sizes) if sizes else None


def _described(model: Model, resolved: ResolvedModel) -> dict[str, Any]:
    packed = resolved.gguf_file
    return _of_gguf(resolved.path / packed) if packed else _of_folder(model, resolved)


def _shape(shape: ModelShape | None) -> dict[str, Any] | None:
    return None if shape is None else shape.to_json()


def _of_gguf(path: Path) -> dict[str, Any]:
    header = read_header(path)
    require_plain_rope(path, header)
    sizes: Counter[str] = Counter()
    for tensor in header.tensors:
        sizes[_gguf_type(tensor.kind)] += prod(tensor.shape)
    named = header.metadata.get("general.license")
    return {
        "architecture": header.architecture,
        **_stored(sizes, path.stat().st_size),
        "layers": _gguf_size(header, "block_count"),
        "hidden": _gguf_size(header, "embedding_length"),
        "heads": _gguf_size(header, "attention.head_count"),
        "vocabulary": next((t.shape[0] for t in header.tensors if t.name == "token_embd.weight"), None),
        "context": _gguf_size(header, "context_length"),
        "shape": _shape(gguf_shape(header, sum(sizes.values()) or None)),
        "license": _shown(named),
        "cached": True,
    }


def _gguf_type(kind: int) -> str:
    try:
        name = GGMLQuantizationType(kind).name
    except ValueError:
        return str(kind)
    return TYPES.get(name, name)


def _gguf_size(header: GgufHeader, key: str) -> int | None:
    return _whole(header.metadata.get(f"{header.architecture}.{key}"))


def _of_folder(model: Model, resolved: ResolvedModel) -> dict[str, Any]:
    with loading(resolved, "model"):
        described = AutoConfig.from_pretrained(
            str(resolved.path), trust_remote_code=resolved.trust_remote_code
        )
        config = described.get_text_config()
    names = _architectures(described)
    weights = _weights(model, resolved)
    return {
        "architecture": names[0] if names else str(described.model_type),
        **weights,
        "layers": _whole(getattr(config, "num_hidden_layers", None)),
        "hidden": _whole(getattr(config, "hidden_size", None)),
        "heads": _whole(getattr(config, "num_attention_heads", None)),
        "vocabulary": _whole(getattr(config, "vocab_size", None)),
        "context": _whole(getattr(config, "max_position_embeddings", None)),
        "shape": _shape(shape_of(config.to_dict(), weights["parameters"])),
        "license": _license(resolved.path / "README.md"),
    }


def _architectures(config: Any) -> list[str]:
    names = getattr(config, "architectures", None)
    return [str(name) for name in names] if isinstance(names, list) else []


def _weights(model: Model, resolved: ResolvedModel) -> dict[str, Any]:
    """Number, type and bytes of the stored weights, and whether they are on this disk."""
    repo = resolved.repo
    names = weight_files(resolved.path, model, resolved.id, repo)
    files = [resolved.path / name for name in names]
    if all(file.is_file() for file in files):
        sizes = sum((stored_sizes(file) for file in files), Counter[str]())
        return {**_stored(sizes, sum(file.stat().st_size for file in files)), "cached": True}
    assert repo is not None
    return {**_stored(_sizes_on_hub(repo), _bytes_on_hub(repo, names)), "cached": False}


def _stored(sizes: Mapping[str, int], size: int | None) -> dict[str, Any]:
    """The type is that of most weights."""
    most = max(sizes, key=lambda name: sizes[name], default=None)
    kind = TYPES.get(most, most) if most else None
    return {"parameters": sum(sizes.values()) or None, "dtype": kind, "bytes": size}


def _sizes_on_hub(repo: Repo) -> Mapping[str, int]:
    """Number of weights by type: as the hub has counted them, else from the files' headers. Empty if it is away.

    ModelScope counts none.
    """
    if isinstance(repo, ScopeRepo):
        return {}
    api = HfApi()
    try:
        with hub_errors(repo, "find"):
            counted = api.model_info(repo.id, revision=repo.revision).safetensors
            if counted is not None:
                return {str(name): count for name, count in counted.parameters.items()}
            found = api.get_safetensors_metadata(repo.id, revision=repo.revision).parameter_count
            return {str(name): count for name, count in found.items()}
    except EngineError:
        return {}


def _bytes_on_hub(repo: Repo, names: Iterable[str]) -> int | None:
    sizes = listed_sizes(repo)
    return sum(sizes.get(name) or 0 for name in names) or None


def _license(card: Path) -> str | None:
    """What the model card's own header says; a card is its author's text, and may be broken in any way."""
    try:
        data = metadata_load(card) or {}
        named = data.get("license")
        return _shown(data.get("license_name") or named if named in (None, "other") else named)
    except Exception:
        return None


def _shown(name: object) -> str | None:
    return one_line(name[:LICENSE]) if isinstance(name, str) and name else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
