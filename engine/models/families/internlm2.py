"""InternLM2 as the Llama it is: other names, and queries, keys and values in one matrix by groups of heads.

`wqkv` holds for each key head g, in this order: the query heads of its group, its key head, its value head; rows
[(g, heads a group + 2, head_dim), hidden]. Llama has the same heads in the same order in three matrices, and turns
halves of them by position as InternLM2 does. So every number keeps its value both ways (Cai et al. 2024,
arXiv:2403.17297, section 2.2; checked against the computation written anew in tests/engine/test_internlm2.py).
"""

from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import ConversionOps, WeightConverter, WeightRenaming

from engine.models.families.family import Family
from engine.models.families.internlm2_tokenizer import InternLM2Tokenizer, load_internlm2_tokenizer


class InternLM2Config(LlamaConfig):  # type: ignore[misc]
    """A Llama's config under InternLM2's names: `bias` is of queries, keys, values and the attention's output.

    One that says nothing of it has them, as in InternLM2's own.
    """

    model_type = "internlm2"
    attention_bias: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        self.attention_bias = bool(kwargs.pop("bias", self.attention_bias))
        super().__post_init__(**kwargs)


class InternLM2ForCausalLM(LlamaForCausalLM):  # type: ignore[misc]
    """A Llama whose checkpoints are InternLM2's."""

    config_class = InternLM2Config


class SplitGroups(ConversionOps):  # type: ignore[misc]
    """wqkv, by groups of heads, into queries, keys and values. The sizes are the config's, not the tensor's."""

    @torch.no_grad()
    def convert(
        self,
        input_dict: dict[str, Any],
        source_patterns: list[str],  # noqa: ARG002  (transformers' names)
        target_patterns: list[str],
        config: LlamaConfig | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> dict[str, Any]:
        assert config is not None
        (found,) = input_dict.values()
        grouped = _grouped(_only(found), config)
        queries, keys, values = grouped[:, :-2], grouped[:, -2:-1], grouped[:, -1:]
        parts = (part.flatten(0, 2).contiguous() for part in (queries, keys, values))
        return dict(zip(target_patterns, parts, strict=True))

    @property
    def reverse_op(self) -> ConversionOps:
        return JoinGroups()


class JoinGroups(ConversionOps):  # type: ignore[misc]
    """Queries, keys and values into wqkv: what `SplitGroups` took apart."""

    @torch.no_grad()
    def convert(
        self,
        input_dict: dict[str, Any],
        source_patterns: list[str],
        target_patterns: list[str],
        config: LlamaConfig | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> dict[str, Any]:
        assert config is not None
        parts = [_only(input_dict[pattern]) for pattern in source_patterns]
        groups = config.num_key_value_heads
        grouped = [part.view(groups, -1, config.head_dim, *part.shape[1:]) for part in parts]
        return {target_patterns[0]: torch.cat(grouped, dim=1).flatten(0, 2)}

    @property
    def reverse_op(self) -> ConversionOps:
        return SplitGroups()


def _grouped(wqkv: Tensor, config: LlamaConfig) -> Tensor:
    """[groups, query heads of a group + 2, head_dim, ...]."""
    groups = config.num_key_value_heads
    heads = config.num_attention_heads // groups + 2
    return wqkv.view(groups, heads, config.head_dim, *wqkv.shape[1:])


def _only(found: Tensor | list[Tensor]) -> Tensor:
    return found[0] if isinstance(found, list) else found


def _attention(kind: str) -> list[WeightRenaming | WeightConverter]:
    parts = [f"self_attn.{name}_proj.{kind}" for name in "qkv"]
    return [
        WeightConverter(f"attention.wqkv.{kind}", parts, operations=[SplitGroups()]),
        WeightRenaming(f"attention.wo.{kind}", f"self_attn.o_proj.{kind}"),
    ]


MAPPING: list[WeightRenaming | WeightConverter] = [
    WeightRenaming("model.tok_embeddings.weight", "model.embed_tokens.weight"),
    *_attention("weight"),
    *_attention("bias"),
    WeightRenaming("feed_forward.w1.weight", "mlp.gate_proj.weight"),
    WeightRenaming("feed_forward.w3.weight", "mlp.up_proj.weight"),
    WeightRenaming("feed_forward.w2.weight", "mlp.down_proj.weight"),
    WeightRenaming("attention_norm.weight", "input_layernorm.weight"),
    WeightRenaming("ffn_norm.weight", "post_attention_layernorm.weight"),
    WeightRenaming(r"^output.weight", "lm_head.weight"),
]


def make_llama(model: PreTrainedModel) -> None:
    """Makes the model the plain Llama it is, in place: only names change. Any transformers loads what it saves."""
    own = model.config
    values = own.to_dict()
    for name in ("model_type", "architectures", "auto_map"):
        values.pop(name, None)
    llama = LlamaConfig(**values)
    llama._attn_implementation = own._attn_implementation
    for module in model.modules():
        if getattr(module, "config", None) is own:
            module.config = llama
    model.__class__ = LlamaForCausalLM
    model._weight_conversions = None


AutoConfig.register(InternLM2Config.model_type, InternLM2Config)
AutoModelForCausalLM.register(InternLM2Config, InternLM2ForCausalLM)
register_checkpoint_conversion_mapping(InternLM2Config.model_type, MAPPING)

FAMILY = Family(
    kind=InternLM2Config.model_type,
    tokenizer_class=InternLM2Tokenizer.__name__,
    load_tokenizer=load_internlm2_tokenizer,
    make_native=make_llama,
    native_name="Llama",
)
