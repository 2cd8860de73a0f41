"""The sizes of a model out of the header of a GGUF file, which calls them by names of its own."""

from engine.models.gguf_file import GgufHeader
from engine.shape import ModelShape, shape_of

GGUF = {
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "feed_forward_length": "intermediate_size",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
}
"""What GGUF calls the sizes, and what config.json does."""


def gguf_shape(header: GgufHeader, parameters: int | None) -> ModelShape | None:
    """The shape of a model in a GGUF file; None where its header lacks a size."""
    sizes = {name: header.metadata.get(f"{header.architecture}.{key}") for key, name in GGUF.items()}
    names = {tensor.name for tensor in header.tensors}
    embedding = next((t.shape[0] for t in header.tensors if t.name == "token_embd.weight"), None)
    described = {**sizes, "vocab_size": embedding, "tie_word_embeddings": "output.weight" not in names}
    return shape_of(described, parameters)
