"""Random models of a few thousand weights, one of each kind of architecture, and random pairs for them."""

from typing import Any

import numpy as np
import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from engine.data.prepared.pairs import Pair

VOCABULARY = 131

_COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "use_cache": False,
}


def _llama() -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**_COMMON))


def _qwen2() -> PreTrainedModel:
    return Qwen2ForCausalLM(Qwen2Config(**_COMMON, tie_word_embeddings=True))


def _qwen3() -> PreTrainedModel:
    return Qwen3ForCausalLM(Qwen3Config(**_COMMON, head_dim=16))


def _gemma3() -> PreTrainedModel:
    layers = ["sliding_attention", "full_attention", "sliding_attention"]
    return Gemma3ForCausalLM(Gemma3TextConfig(**_COMMON, head_dim=16, sliding_window=8, layer_types=layers))


def _gpt2() -> PreTrainedModel:
    sizes = {"vocab_size": VOCABULARY, "n_positions": 256, "n_embd": 48, "n_layer": 3, "n_head": 6}
    quiet = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "use_cache": False}
    return GPT2LMHeadModel(GPT2Config(**sizes, **quiet, bos_token_id=1, eos_token_id=2))


def _wide() -> PreTrainedModel:
    """With heads as wide as kernels take them."""
    return Qwen3ForCausalLM(Qwen3Config(**_COMMON, head_dim=32))


FAMILIES = {"llama": _llama, "qwen2": _qwen2, "qwen3": _qwen3, "gemma3": _gemma3, "gpt2": _gpt2}


def tiny_model(family: str = "llama", seed: int = 0) -> PreTrainedModel:
    """A fresh fp32 model with weights large enough that log-probabilities are far from uniform."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = (FAMILIES | {"wide": _wide})[family]()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(5.0)
    return model.eval()


def random_pairs(count: int, seed: int = 0, prompt: tuple[int, int] = (3, 20)) -> list[Pair]:
    """Pairs whose completions sometimes begin alike, and some whose prompts differ in their last token."""
    rng = np.random.default_rng(seed)
    pairs = []
    for index in range(count):
        start = int(rng.integers(*prompt))
        common = rng.integers(3, VOCABULARY, start + index % 3)
        chosen, rejected = (
            np.concatenate([common, rng.integers(3, VOCABULARY, rng.integers(1, 24)), [2]]) for _ in range(2)
        )
        if index % 7 == 5:  # nothing in common but the first token
            rejected[1 : start + 2] = (rejected[1 : start + 2] + 1) % VOCABULARY
        if index % 7 == 6:  # one is the beginning of the other
            rejected = chosen[:-2]
        earlier = int(index % 5 == 4)  # the boundary of one side falls a token earlier
        pairs.append(Pair(chosen.astype(np.int32), rejected.astype(np.int32), start, start - earlier))
    return pairs
