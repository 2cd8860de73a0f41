"""The one attention function of the product, registered with transformers under the name `dpo_pairs`.

A model computes projections and rotary embeddings as always and hands over q, k, v of the whole pack; the pack's
segments come along as the keyword `pack_segments`. No model is patched. Back ends with one meaning:

* `native`: the CPU's own kernel, in C++ (bf16 on processors with AVX-512 BF16)
* `segments`: torch's scaled dot product attention, one call a segment (any device without the others)
* `varlen`: torch's variable-length flash attention, one call a layer (CUDA, bf16 or fp16)
* `dense`: one masked softmax over the pack, in fp32: the meaning itself, for tests
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedModel

from engine.kernels import cpu_attention
from engine.kernels.cpu_attention import segment_attention
from engine.layout import Segment, SegmentTable, varlen_index

NAME = "dpo_pairs"
KNOWN_LAYERS = {"full_attention", "sliding_attention"}


def pair_attention(
    module: nn.Module,  # noqa: ARG001  (transformers' signature)
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    pack_segments: SegmentTable | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention within the segments of a pack.

    query [1, Hq, T, D], key and value [1, Hk, T, D]; returns [1, T, Hq, D], as transformers expects of any attention.
    """
    assert attention_mask is None
    assert dropout == 0.0
    assert not any(kwargs.get(name) is not None for name in ("s_aux", "softcap"))
    if pack_segments is None:
        pack_segments = SegmentTable((Segment(0, query.shape[2]),))
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if pack_segments.team is not None:
        local = partial(_attend, table=pack_segments, scale=scale, window=sliding_window)
        tokens = pack_segments.segments[-1].stop
        out: Tensor = pack_segments.team.attend(local, query, key, value, tokens)
        return out, None
    return _attend(query, key, value, pack_segments, scale, sliding_window), None


def _attend(
    query: Tensor, key: Tensor, value: Tensor, table: SegmentTable, scale: float, window: int | None
) -> Tensor:
    """By the best back end there is; [1, T, Hq, D]."""
    if table.native:
        out: Tensor = segment_attention(query, key, value, table.bounds, scale, window or 0)[0]
    else:
        out = _by_torch(query, key, value, table, scale, window)
    return out


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _by_torch(
    query: Tensor, key: Tensor, value: Tensor, table: SegmentTable, scale: float, window: int | None
) -> Tensor:
    """What depends on every single length of a pack, and so is never compiled."""
    attend = _varlen if query.is_cuda and query.dtype in (torch.bfloat16, torch.float16) else _segments
    return attend(query, key, value, table.segments, scale, window)


def _segments(
    query: Tensor, key: Tensor, value: Tensor, segments: tuple[Segment, ...], scale: float, window: int | None
) -> Tensor:
    out = [_segment(query, key, value, segment, scale, window) for segment in segments]
    return torch.cat(out, dim=2).transpose(1, 2)  # [1, T, Hq, D]


def _segment(
    query: Tensor, key: Tensor, value: Tensor, segment: Segment, scale: float, window: int | None
) -> Tensor:
    """One segment's rows [1, Hq, n, D]: plain causal where nothing is shared, else with the lower-right triangle."""
    own = slice(segment.start, segment.stop)
    keys, values = key[:, :, own], value[:, :, own]
    if segment.shared:
        prefix = slice(segment.prefix, segment.prefix + segment.shared)
        keys = torch.cat([key[:, :, prefix], keys], dim=2)
        values = torch.cat([value[:, :, prefix], values], dim=2)
    bounded = window is not None and segment.shared + segment.length > window
    mask = _visible(segment, window, query.device) if segment.shared or bounded else None
    return F.scaled_dot_product_attention(
        query[:, :, own],
        keys,
        values,
        attn_mask=mask,
        is_causal=mask is None,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )


def _visible(segment: Segment, window: int | None, device: torch.device) -> Tensor:
    """[n, shared + n] True where a row may look: not ahead, and within the last `window` positions."""
    visible = torch.ones(segment.length, segment.shared + segment.length, dtype=torch.bool, device=device)
    visible = visible.tril(segment.shared)
    return visible if window is None else visible.triu(segment.shared - window + 1)


def _varlen(
    query: Tensor, key: Tensor, value: Tensor, segments: tuple[Segment, ...], scale: float, window: int | None
) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    index = varlen_index(segments, query.device)
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))  # [T, H, D]
    out = varlen_attn(
        q.contiguous(),
        k[index.keys],
        v[index.keys],
        index.query_bounds,
        index.key_bounds,
        index.longest_query,
        index.longest_key,
        scale=scale,
        window_size=(-1 if window is None else window - 1, 0),
        enable_gqa=q.shape[1] != k.shape[1],
    )
    assert isinstance(out, Tensor)
    return out[None]


def dense_mask(segments: Sequence[Segment], tokens: int, window: int | None = None) -> Tensor:
    """[T, T] True where token q of the pack may look at token k: the definition the back ends are tested against."""
    allowed = torch.zeros(tokens, tokens, dtype=torch.bool)
    for s in segments:
        visible = _visible(s, window, allowed.device)
        allowed[s.start : s.stop, s.prefix : s.prefix + s.shared] = visible[:, : s.shared]
        allowed[s.start : s.stop, s.start : s.stop] = visible[:, s.shared :]
    return allowed


def dense_attention(
    query: Tensor, key: Tensor, value: Tensor, segments: tuple[Segment, ...], scale: float, window: int | None
) -> Tensor:
    """The eager twin of the back ends, written as the formula: softmax(q k' + mask) v, in fp32."""
    groups = query.shape[1] // key.shape[1]
    k, v = (x.float().repeat_interleave(groups, dim=1) for x in (key, value))
    scores = query.float() @ k.transpose(-1, -2) * scale
    scores = scores.masked_fill(~dense_mask(segments, query.shape[2], window), -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).to(query.dtype)


AttentionInterface.register(NAME, pair_attention)


def runs_native(model: PreTrainedModel) -> bool:
    """Whether the CPU's own kernel serves this model here."""
    return _could_run_native(model) and cpu_attention.problem() is None


def native_problem(model: PreTrainedModel) -> str | None:
    """Why the kernel that would serve this model on this processor is not there; None where it would not, or is."""
    could = _could_run_native(model) and torch.cpu._is_avx512_bf16_supported()
    return cpu_attention.problem() if could else None


def _could_run_native(model: PreTrainedModel) -> bool:
    if model.device.type != "cpu" or model.dtype != torch.bfloat16:
        return False
    config = model.config.get_text_config()
    heads = getattr(config, "num_attention_heads", 0)
    dim = getattr(config, "head_dim", None) or (config.hidden_size // heads if heads else 0)
    return dim in cpu_attention.DIMS


def refusal(model: PreTrainedModel) -> str | None:
    """Why `model` cannot run packs with this attention, in words; None if nothing speaks against trying.

    What no field of a config tells is found by the policy's self-check on the first pair.
    """
    config = model.config.get_text_config()
    layers = set(getattr(config, "layer_types", None) or ["full_attention"])
    if unknown := layers - KNOWN_LAYERS:
        return f"its layers include {', '.join(sorted(unknown))}"
    if getattr(config, "attn_logit_softcapping", None):
        return "it caps its attention scores"
    if any(name.endswith("sinks") for name, _ in model.named_parameters()):
        return "its attention has sinks"
    if getattr(config, "num_local_experts", None) and getattr(config, "output_router_logits", False):
        return "its router loss counts tokens"
    rope = getattr(config, "rope_parameters", None) or {}
    if isinstance(rope, dict) and rope.get("rope_type") in ("dynamic", "longrope"):
        return "its rotary embedding depends on the length of the whole pass"
    if not getattr(model, "_supports_attention_backend", True):
        return "its code does not go through transformers' attention interface"
    return None
