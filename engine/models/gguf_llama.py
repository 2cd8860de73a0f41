"""Plain Llama models out of a GGUF file in a fraction of the time transformers takes, bit for bit the same.

transformers parses the header twice in slow Python and builds llama.cpp's table of all tensor names for every
module: most of the wait before a first run. Whatever is not exactly the plain architecture goes its way.
"""

import re
from typing import Any

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize
from transformers import LlamaConfig, LlamaForCausalLM

from engine.exits import UnusableError
from engine.models.gguf_file import GgufHeader, GgufTensor

OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
LAYER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
SIZES = {
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "block_count": "num_hidden_layers",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "rope.dimension_count": "head_dim",
    "context_length": "max_position_embeddings",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "vocab_size": "vocab_size",
}
TOKENS = {"bos": "bos_token_id", "eos": "eos_token_id", "padding": "pad_token_id", "unknown": "unk_token_id"}


def is_plain_llama(header: GgufHeader) -> bool:
    """Llama by name, with every size stated and no tensor that the plain architecture does not have."""
    name = str(header.metadata.get("general.name", "")).lower()
    sizes = all(
        isinstance(header.metadata.get(f"llama.{key}"), int | float) for key in [*SIZES, "rope.freq_base"]
    )
    known = all(_parameter_name(tensor.name) for tensor in header.tensors)
    return header.architecture == "llama" and "mistral" not in name and sizes and known


def load_plain_llama(header: GgufHeader) -> tuple[LlamaForCausalLM, dict[str, Any]]:
    """The fp32 model, and transformers' loading info. Raises UnusableError for a file that ends too soon."""
    config = _config(header)
    state = {str(_parameter_name(tensor.name)): _weights(tensor, header, config) for tensor in header.tensors}
    model, info = LlamaForCausalLM.from_pretrained(
        None, config=config, state_dict=state, dtype=torch.float32, output_loading_info=True
    )
    return model, info


def _config(header: GgufHeader) -> LlamaConfig:
    metadata = header.metadata
    sizes = {name: metadata[f"llama.{key}"] for key, name in SIZES.items()}
    stated = {name: metadata.get(f"tokenizer.ggml.{key}_token_id") for key, name in TOKENS.items()}
    ids = {name: token for name, token in stated.items() if token is not None}
    tied = all(tensor.name != "output.weight" for tensor in header.tensors)
    rope = {"rope_type": "default", "rope_theta": metadata["llama.rope.freq_base"]}
    return LlamaConfig(**sizes, **ids, tie_word_embeddings=tied, rope_parameters=rope)


def _parameter_name(name: str) -> str | None:
    if layer := re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name):
        inner = LAYER.get(layer[2])
        return f"model.layers.{layer[1]}.{inner}.weight" if inner else None
    outer = OUTER.get(name.removesuffix(".weight"))
    return f"{outer}.weight" if outer else None


def _weights(tensor: GgufTensor, header: GgufHeader, config: LlamaConfig) -> torch.Tensor:
    """The tensor in fp32 and in torch's order; a file of another byte order or a cut one does not get here."""
    kind = GGMLQuantizationType(tensor.kind)
    block, width = GGML_QUANT_SIZES[kind]
    rows, columns = tensor.shape[:-1], tensor.shape[-1] // block * width
    count = int(np.prod(rows)) * columns
    raw = np.fromfile(header.path, np.uint8, count, offset=tensor.offset)
    if raw.size != count:
        raise UnusableError(
            "model.broken_file",
            f"{header.path}: the file ends inside {tensor.name}. Download it again.",
            id=str(header.path.parent),
            file=header.path.name,
            path=str(header.path),
        )
    weights = dequantize(raw.reshape(*rows, columns), kind)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    if count := heads.get(tensor.name.split(".")[-2], 0):
        weights = _half_rotation(weights, count)
    return torch.from_numpy(np.ascontiguousarray(weights))


def _half_rotation(weights: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp turns neighbouring rows of a head together, transformers rows half a head apart."""
    pairs = weights.reshape(heads, weights.shape[0] // heads // 2, 2, *weights.shape[1:])
    return pairs.swapaxes(1, 2).reshape(weights.shape)
