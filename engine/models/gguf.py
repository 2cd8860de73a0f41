"""GGUF files: what transformers leaves out when it turns them into ordinary models and tokenizers.

transformers unpacks the weights. It drops the way some vocabularies split digits, marks the model as
quantised (which `save_pretrained` refuses), and leaves the context length out of the tokenizer: mended here.
"""

import io
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from engine.exits import UnusableError
from engine.models.gguf_file import GgufHeader, read_header
from engine.models.gguf_llama import is_plain_llama, load_plain_llama

GPT2_SPLIT = frozenset({"gpt-2", "phi-2", "mpt", "olmo", "jais"})
DIGITS_THEN_GPT2_SPLIT = frozenset(
    {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
)
"""Values of `tokenizer.ggml.pre` whose vocabularies were learned on text with every digit set apart."""


def load_gguf_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """The tokenizer inside a GGUF file, splitting text as its vocabulary was learned."""
    metadata = read_header(path).metadata
    if "tokenizer.ggml.model" not in metadata:
        raise UnusableError("model.no_tokenizer", f"{path}: this GGUF file has no tokenizer.", id=str(path))
    tokenizer: PreTrainedTokenizerBase = PreTrainedTokenizerFast.from_pretrained(
        str(path.parent), gguf_file=path.name, trust_remote_code=False
    )
    _restore_pre_tokenizer(tokenizer, metadata, path)
    context = metadata.get(f"{metadata.get('general.architecture')}.context_length")
    if context:
        tokenizer.model_max_length = int(context)
    return tokenizer


def _restore_pre_tokenizer(tokenizer: PreTrainedTokenizerBase, metadata: dict[str, Any], path: Path) -> None:
    """Byte-level BPE only: the other kinds carry their own splitting."""
    if metadata["tokenizer.ggml.model"] != "gpt2":
        return
    split = metadata.get("tokenizer.ggml.pre")
    backend = tokenizer.backend_tokenizer
    if split in DIGITS_THEN_GPT2_SPLIT:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    elif split not in GPT2_SPLIT and isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):
        raise UnusableError(
            "model.gguf_split_unknown",
            f'{path}: how this vocabulary splits text ("{split}") is not known to transformers, so its '
            "token ids would be wrong. Use the model's safetensors repo on the hub instead.",
            path=str(path),
            split=split,
        )


def load_gguf_model(path: Path) -> tuple[PreTrainedModel, dict[str, Any]]:
    """An ordinary fp32 model out of a GGUF file, and transformers' loading info (missing keys and so on)."""
    header = read_header(path)
    require_plain_rope(path, header)
    model, info = load_plain_llama(header) if is_plain_llama(header) else _load_by_transformers(path)
    _forget_quantization(model)
    _shorten_floats(model)
    _set_generation_ids(model)
    return model, info


def require_plain_rope(path: Path, header: GgufHeader) -> None:
    """Raises UnusableError for rope scaling: transformers leaves it out of what it reads, another model, silently."""
    scaling = str(header.metadata.get(f"{header.architecture}.rope.scaling.type", "none"))
    factors = any(tensor.name.startswith("rope_f") for tensor in header.tensors)
    if header.architecture != "gpt-oss" and (factors or scaling != "none"):
        raise UnusableError(
            "model.gguf_rope",
            f"{path}: this model stretches its positions (rope scaling), which transformers does not read from "
            "GGUF files. Use the model's safetensors repo on the hub instead.",
            path=str(path),
        )


def _load_by_transformers(path: Path) -> tuple[PreTrainedModel, dict[str, Any]]:
    with redirect_stderr(io.StringIO()):  # a progress bar that has no switch
        model, info = AutoModelForCausalLM.from_pretrained(
            str(path.parent),
            gguf_file=path.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            trust_remote_code=False,
            output_loading_info=True,
        )
    return model, info


def _forget_quantization(model: PreTrainedModel) -> None:
    """The weights are plain fp32 by now; these marks alone make `save_pretrained` refuse and reloads fail."""
    for name in ("hf_quantizer", "is_quantized", "quantization_method"):
        model.__dict__.pop(name, None)
    for name in ("quantization_config", "_model_name_or_path"):
        model.config.__dict__.pop(name, None)
    model.config._name_or_path = ""


def _shorten_floats(model: PreTrainedModel) -> None:
    """GGUF keeps fp32 numbers: 1e-05 comes out as 9.999999747378752e-06, which is the same fp32 number."""
    for name, value in list(vars(model.config).items()):
        if isinstance(value, float) and float(np.float32(value)) == value:
            setattr(model.config, name, float(str(np.float32(value))))


def _set_generation_ids(model: PreTrainedModel) -> None:
    """A GGUF has no generation config: its header's ids, in the model config by now, are the chat's own."""
    config = model.config
    model.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id
    )
