"""A model and its tokenizer, ready to train: exact weights, no dropout, nothing left to chance."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from engine.config.schema import Model, Quantization
from engine.exits import EngineError, EnvironmentUnfitError, UnusableError
from engine.models.dropout import dropout_values, silence_dropout
from engine.models.families import family_in
from engine.models.fingerprint import fingerprint
from engine.models.gguf import load_gguf_model, load_gguf_tokenizer
from engine.models.nf4 import is_nf4, load_nf4, quantize
from engine.models.quiet import quiet_transformers
from engine.models.resolve import ResolvedModel, resolve
from engine.models.weights import holds_only_bf16


@dataclass(frozen=True, slots=True)
class ModelOrigin:
    """Where the weights came from, for the run's record and the model card."""

    id: str
    commit: str | None
    source: str


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A causal language model in eval mode, every dropout 0, no key-value cache: with fp32 weights, with all of them as
    they are stored, or with linear layers in 4 bits among fp32 ones.
    """

    model: PreTrainedModel
    fingerprint: str
    """sha256 hex of config and weights: the key of the reference logps."""
    origin: ModelOrigin
    published_config: dict[str, Any] = field(default_factory=dict)
    """Config values that loading changed for training; an export puts them back."""


def load_tokenizer(model: Model | ResolvedModel) -> PreTrainedTokenizerBase:
    """The model's tokenizer, with its chat template if it has one. Raises what `resolve` raises."""
    resolved = _resolved(model)
    with loading(resolved, "tokenizer"):
        if resolved.gguf_file:
            return load_gguf_tokenizer(resolved.path / resolved.gguf_file)
        if family := family_in(resolved.path):
            return family.load_tokenizer(resolved.path)
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(resolved.path), trust_remote_code=resolved.trust_remote_code
        )
        return tokenizer


def load_model(
    model: Model | ResolvedModel, quantization: Quantization | None = None, *, as_stored: bool = False
) -> LoadedModel:
    """The model with all of its weights in fp32, whatever the checkpoint's type; with `quantization` its linear layers
    are in 4 bits, for a base that stays frozen. A `Model` says itself whether they are.

    With `as_stored` a checkpoint whose weights are all bf16 is left so: exact as well, and its weights are the file's
    own pages, which all processes of a machine share, until something moves or changes them.

    Raises what `resolve` raises, and UnusableError when the checkpoint lacks weights that the architecture has, or has
    nothing to quantise.
    """
    resolved = _resolved(model)
    if isinstance(model, Model):
        quantization = model.quantization
    with loading(resolved, "model"):
        loaded, info = _from_pretrained(resolved, quantization, as_stored)
    _require_complete(info, resolved)
    if quantization:
        _require_quantized(loaded, resolved)
    published = {"use_cache": getattr(loaded.config, "use_cache", True), **dropout_values(loaded.config)}
    silence_dropout(loaded)
    loaded.config.use_cache = False
    origin = ModelOrigin(resolved.id, resolved.commit, resolved.source)
    return LoadedModel(loaded.eval(), fingerprint(loaded), origin, published)


def _resolved(model: Model | ResolvedModel) -> ResolvedModel:
    return model if isinstance(model, ResolvedModel) else resolve(model)


def _from_pretrained(
    resolved: ResolvedModel, quantization: Quantization | None, as_stored: bool
) -> tuple[PreTrainedModel, dict[str, Any]]:
    if resolved.gguf_file:
        model, info = load_gguf_model(resolved.path / resolved.gguf_file)
        if quantization:
            quantize(model)
        return model, info
    if quantization:
        model, info = load_nf4(str(resolved.path), trust_remote_code=resolved.trust_remote_code)
    elif as_stored and holds_only_bf16(resolved.path):
        model, info = _in_bf16(resolved)
    else:
        model, info = _in_type(resolved, torch.float32)
    if family_in(resolved.path) is not None:
        _require_no_others(info, resolved)
    return model, info


def _in_bf16(resolved: ResolvedModel) -> tuple[PreTrainedModel, dict[str, Any]]:
    """In fp32 after all, where the model would round numbers that it computes when it is made, such as positions'."""
    model, info = _in_type(resolved, torch.bfloat16)
    if any(buffer.dtype == torch.bfloat16 for buffer in model.buffers()):
        return _in_type(resolved, torch.float32)
    return model, info


def _in_type(resolved: ResolvedModel, dtype: torch.dtype) -> tuple[PreTrainedModel, dict[str, Any]]:
    model, info = AutoModelForCausalLM.from_pretrained(
        str(resolved.path),
        dtype=dtype,
        use_safetensors=True,
        trust_remote_code=resolved.trust_remote_code,
        output_loading_info=True,
    )
    return model, info


def _require_no_others(info: dict[str, Any], resolved: ResolvedModel) -> None:
    """A tensor that a family does not know would be left out of what the original computes."""
    if others := sorted(info.get("unexpected_keys") or ()):
        raise UnusableError(
            "model.unknown_weights",
            f"{resolved.id}: the checkpoint has {len(others)} weights that a model of its type does not, such as "
            f"{others[0]}. Its config.json is of another model.",
            id=resolved.id,
            unknown=others[:10],
        )


def _require_complete(info: dict[str, Any], resolved: ResolvedModel) -> None:
    """transformers fills in random numbers for what a checkpoint lacks, and goes on; training must not."""
    missing = sorted(info.get("missing_keys") or ())
    if missing:
        raise UnusableError(
            "model.missing_weights",
            f"{resolved.id}: the checkpoint lacks {len(missing)} of the model's weights, such as "
            f"{missing[0]}. It is incomplete, or its config.json is of another model.",
            id=resolved.id,
            missing=missing[:10],
        )


def _require_quantized(model: PreTrainedModel, resolved: ResolvedModel) -> None:
    """A model that keeps its weights in layers of its own kinds would stand there in full, unannounced."""
    if not is_nf4(model):
        raise UnusableError(
            "model.nothing_quantized",
            f'{resolved.id} has no linear layers that could be stored in 4 bits: take quantization = "nf4" out of '
            "[model.lora].",
            id=resolved.id,
        )


@contextmanager
def loading(resolved: ResolvedModel, what: str) -> Iterator[None]:
    """Quiet while loading, and any failure as one line: of files from anywhere any exception can come."""
    if not resolved.gguf_file:
        family_in(resolved.path)  # makes transformers know it
    try:
        with quiet_transformers():
            yield
    except (EngineError, MemoryError, torch.OutOfMemoryError):
        raise
    except ImportError as error:
        raise EnvironmentUnfitError(
            "model.missing_package",
            f"The {what} of {resolved.id} needs a package that is not installed: {_first_line(error)}",
            id=resolved.id,
            detail=_first_line(error),
        ) from error
    except Exception as error:
        raise UnusableError(
            f"model.bad_{what}",
            f"The {what} of {resolved.id} cannot be loaded: {_first_line(error)}",
            id=resolved.id,
            detail=_first_line(error),
        ) from error


def _first_line(error: Exception) -> str:
    """The first line, with the one after it where the first only announces it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    wanted = 2 if lines and lines[0].endswith(":") else 1
    return " ".join(lines[:wanted]) or type(error).__name__
