"""A model and its tokenizer, ready to train: fp32 weights, no dropout, nothing left to chance."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from engine.config.schema import Model
from engine.exits import EngineError, EnvironmentUnfitError, UnusableError
from engine.models.dropout import dropout_values, silence_dropout
from engine.models.fingerprint import fingerprint
from engine.models.gguf import load_gguf_model, load_gguf_tokenizer
from engine.models.quiet import quiet_transformers
from engine.models.resolve import ResolvedModel, resolve


@dataclass(frozen=True, slots=True)
class ModelOrigin:
    """Where the weights came from, for the run's record and the model card."""

    id: str
    commit: str | None
    source: str


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A causal language model with fp32 weights, in eval mode, every dropout 0, no key-value cache."""

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
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            str(resolved.path), trust_remote_code=resolved.trust_remote_code
        )
        return tokenizer


def load_model(model: Model | ResolvedModel) -> LoadedModel:
    """The model with all of its weights in fp32, whatever the checkpoint's type.

    DPO's steps are far below a bf16 ulp, so the weights trained are always fp32. Raises what `resolve`
    raises, and UnusableError when the checkpoint lacks weights that the architecture has.
    """
    resolved = _resolved(model)
    with loading(resolved, "model"):
        loaded, info = _from_pretrained(resolved)
    _require_complete(info, resolved)
    published = {"use_cache": getattr(loaded.config, "use_cache", True), **dropout_values(loaded.config)}
    silence_dropout(loaded)
    loaded.config.use_cache = False
    origin = ModelOrigin(resolved.id, resolved.commit, resolved.source)
    return LoadedModel(loaded.eval(), fingerprint(loaded), origin, published)


def _resolved(model: Model | ResolvedModel) -> ResolvedModel:
    return model if isinstance(model, ResolvedModel) else resolve(model)


def _from_pretrained(resolved: ResolvedModel) -> tuple[PreTrainedModel, dict[str, Any]]:
    if resolved.gguf_file:
        return load_gguf_model(resolved.path / resolved.gguf_file)
    model, info = AutoModelForCausalLM.from_pretrained(
        str(resolved.path),
        dtype=torch.float32,
        use_safetensors=True,
        trust_remote_code=resolved.trust_remote_code,
        output_loading_info=True,
    )
    return model, info


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


@contextmanager
def loading(resolved: ResolvedModel, what: str) -> Iterator[None]:
    """Quiet while loading, and any failure as one line: of files from anywhere any exception can come."""
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
