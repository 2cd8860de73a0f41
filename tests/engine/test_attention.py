"""The attention back ends against the formula, and what the variable-length kernel is fed."""

import pytest
import torch
from torch import Tensor

from engine.attention import dense_attention, pair_attention
from engine.layout import Segment, SegmentTable, lay_out, varlen_index
from tests.tiny import random_pairs

SEGMENTS = lay_out(random_pairs(8)).segments
TOKENS = SEGMENTS[-1].stop


def heads(count: int, seed: int, tokens: int = TOKENS) -> Tensor:
    return torch.randn(
        1, count, tokens, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


@pytest.mark.parametrize("window", [None, 5, 64])
def test_segments_equal_the_formula(window: int | None) -> None:
    q, k, v = heads(6, 1).float(), heads(2, 2).float(), heads(2, 3).float()
    out, _ = pair_attention(
        torch.nn.Identity(),
        q,
        k,
        v,
        None,
        scaling=0.2,
        sliding_window=window,
        pack_segments=SegmentTable(SEGMENTS),
    )
    torch.testing.assert_close(out, dense_attention(q, k, v, SEGMENTS, 0.2, window), rtol=1e-5, atol=1e-6)


def varlen_by_the_book(
    q: Tensor, k: Tensor, v: Tensor, segments: tuple[Segment, ...], window: int | None
) -> Tensor:
    """What a variable-length kernel computes: per segment a softmax, the causal rule aligned at the last key."""
    index = varlen_index(segments, q.device)
    keys, values = k[index.keys], v[index.keys]
    out = torch.empty_like(q)
    for s in range(len(segments)):
        rows = slice(int(index.query_bounds[s]), int(index.query_bounds[s + 1]))
        columns = slice(int(index.key_bounds[s]), int(index.key_bounds[s + 1]))
        scores = torch.einsum("qhd,khd->hqk", q[rows], keys[columns]) * 0.2
        shift = scores.shape[2] - scores.shape[1]
        visible = torch.ones(scores.shape[1:], dtype=torch.bool).tril(shift)
        if window is not None:
            visible = visible.triu(shift - window + 1)
        weights = scores.masked_fill(~visible, -torch.inf).softmax(-1)
        out[rows] = torch.einsum("hqk,khd->qhd", weights, values[columns])
    return out


@pytest.mark.parametrize("window", [None, 5])
def test_varlen_boundaries_mean_the_formula(window: int | None) -> None:
    q, k, v = heads(3, 1), heads(3, 2), heads(3, 3)
    mine = varlen_by_the_book(
        q[0].transpose(0, 1), k[0].transpose(0, 1), v[0].transpose(0, 1), SEGMENTS, window
    )
    expected = dense_attention(q, k, v, SEGMENTS, 0.2, window)[0]
    torch.testing.assert_close(mine.float(), expected.float(), rtol=1e-5, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("window", [None, 5])
def test_varlen_kernel_equals_the_formula(window: int | None) -> None:
    q, k, v = (x.to("cuda", torch.bfloat16) for x in (heads(6, 1), heads(2, 2), heads(2, 3)))
    out, _ = pair_attention(
        torch.nn.Identity(),
        q,
        k,
        v,
        None,
        scaling=0.2,
        sliding_window=window,
        pack_segments=SegmentTable(SEGMENTS),
    )
    expected = dense_attention(q.cpu(), k.cpu(), v.cpu(), SEGMENTS, 0.2, window)
    torch.testing.assert_close(out.cpu().float(), expected.float(), rtol=2e-2, atol=2e-2)


def test_without_segments_it_is_plain_causal_attention() -> None:
    q, k, v = heads(6, 1).float(), heads(2, 2).float(), heads(2, 3).float()
    out, _ = pair_attention(torch.nn.Identity(), q, k, v, None, scaling=0.2)
    expected = dense_attention(q, k, v, (Segment(0, TOKENS),), 0.2, None)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-6)
