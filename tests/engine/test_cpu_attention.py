"""The CPU's own attention kernel against the formula, forward and backward, for every kind of pack."""

import pytest
import torch
from torch import Tensor

from engine.attention import dense_attention, native_problem, pair_attention
from engine.kernels import cpu_attention
from engine.kernels.cpu_attention import segment_attention
from engine.layout import Segment, SegmentTable, lay_out
from engine.policy import Policy
from tests.engine.test_attention import SEGMENTS as MANY
from tests.tiny import random_pairs, tiny_model

pytestmark = pytest.mark.skipif(
    cpu_attention.problem() is not None, reason=f"the kernel does not run here: {cpu_attention.problem()}"
)

UNIT = 2.0**-8
"""Spacing of bf16 numbers relative to their size."""
ONE = (Segment(0, 5),)
SHARED = (Segment(0, 37), Segment(37, 60, 0, 20), Segment(60, 131), Segment(131, 132, 60, 70))
LONG = (Segment(0, 300), Segment(300, 533, 0, 123))
PACKS = {"one": ONE, "shared": SHARED, "many": MANY, "long": LONG}
HEADS = {"one": (1, 1), "grouped": (6, 2), "each its own": (3, 3)}


def tensors(
    segments: tuple[Segment, ...], heads: tuple[int, int], dim: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """query, key, value [1, H, T, D] bf16, as a model hands them over, and a gradient of the result."""
    g = torch.Generator().manual_seed(len(segments) + dim)
    tokens = segments[-1].stop

    def draw(count: int) -> Tensor:
        return torch.randn(1, tokens, count, dim, generator=g).bfloat16().transpose(1, 2).requires_grad_()

    query, key, value = draw(heads[0]), draw(heads[1]), draw(heads[1])
    return query, key, value, torch.randn(1, tokens, heads[0], dim, generator=g).bfloat16()


def attend(
    query: Tensor, key: Tensor, value: Tensor, segments: tuple[Segment, ...], window: int | None
) -> Tensor:
    table = SegmentTable(segments, native=True)
    return pair_attention(
        torch.nn.Identity(), query, key, value, None, sliding_window=window, pack_segments=table
    )[0]


def widened(*tensors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same numbers in fp32, as leaves of their own."""
    query, key, value = (x.detach().float().requires_grad_() for x in tensors)
    return query, key, value


def error(mine: Tensor, theirs: Tensor) -> float:
    mine, theirs = mine.detach().float(), theirs.detach().float()
    return float((mine - theirs).norm() / theirs.norm())


@pytest.mark.parametrize("window", [None, 3, 16, 200])
@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("pack", PACKS)
def test_it_is_the_formula_but_for_rounding(pack: str, heads: str, window: int | None) -> None:
    segments = PACKS[pack]
    query, key, value, grad = tensors(segments, HEADS[heads], 64)
    out = attend(query, key, value, segments, window)
    wide = widened(query, key, value)
    expected = dense_attention(*wide, segments, 64**-0.5, window)
    assert error(out, expected) < UNIT
    mine = torch.autograd.grad(out, [query, key, value], grad)
    theirs = torch.autograd.grad(expected, wide, grad.float())
    for a, b in zip(mine, theirs, strict=True):
        assert error(a, b) < 2 * UNIT


@pytest.mark.parametrize("dim", cpu_attention.DIMS)
def test_every_size_of_a_head_it_says_it_takes(dim: int) -> None:
    query, key, value, grad = tensors(SHARED, (2, 1), dim)
    out = attend(query, key, value, SHARED, None)
    wide = widened(query, key, value)
    expected = dense_attention(*wide, SHARED, dim**-0.5, None)
    assert error(out, expected) < UNIT
    pairs = zip(
        torch.autograd.grad(out, [query, key, value], grad),
        torch.autograd.grad(expected, wide, grad.float()),
        strict=True,
    )
    assert max(error(a, b) for a, b in pairs) < 2 * UNIT


def test_any_strides_give_the_same() -> None:
    query, key, value, _ = tensors(SHARED, (6, 2), 64)
    q, k, v = (x.detach().contiguous() for x in (query, key, value))
    assert torch.equal(attend(query, key, value, SHARED, None), attend(q, k, v, SHARED, None))


def test_it_gives_the_same_bits_every_time() -> None:
    query, key, value, grad = tensors(LONG, (6, 2), 64)
    runs = []
    for _ in range(3):
        out = attend(query, key, value, LONG, None)
        runs.append([out, *torch.autograd.grad(out, [query, key, value], grad)])
    for again in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], again, strict=True))


def test_what_is_no_number_stays_none() -> None:
    query, key, value, _ = tensors(SHARED, (2, 1), 64)
    broken = query.detach().clone()
    broken[0, 0, 40] = torch.nan
    out = attend(broken, key, value, SHARED, None)
    assert out[0, 40, 0].isnan().all()
    assert not out[0, 41:, 1].isnan().any()


def test_large_scores_do_not_overflow() -> None:
    query, key, value, grad = tensors(SHARED, (2, 1), 64)
    large = (query.detach() * 300).requires_grad_()
    out = attend(large, key, value, SHARED, None)
    grads = torch.autograd.grad(out, [large, key, value], grad)
    assert all(x.isfinite().all() for x in (out, *grads))


def test_torch_s_own_checks_of_an_operation_pass() -> None:
    query, key, value, _ = tensors(SHARED, (2, 1), 64)
    bounds = SegmentTable(SHARED).bounds
    torch.library.opcheck(segment_attention, (query, key, value, bounds, 0.125, 0))


def test_a_policy_uses_it_and_computes_what_it_did_without() -> None:
    model = tiny_model("wide").bfloat16()
    policy = Policy(model)
    assert policy.native
    pack = policy.lay_out(random_pairs(4))
    mine = policy(pack)
    policy.native = False
    theirs = policy(policy.lay_out(random_pairs(4)))
    assert ((mine - theirs).abs() < 0.05 * pack.lengths + 0.5).all()


def test_values_of_another_width_are_refused() -> None:
    query, key, value, _ = tensors(SHARED, (2, 1), 64)
    with pytest.raises(AssertionError):
        attend(query, key, value[..., :32], SHARED, None)
    with pytest.raises(AssertionError, match="heads of 16"):
        attend(query[..., :16], key[..., :16], value[..., :16], SHARED, None)


def test_a_kernel_that_cannot_be_built_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("wide").bfloat16()
    assert native_problem(model) is None
    monkeypatch.setattr(cpu_attention, "problem", lambda: "there is no C++ compiler; install g++")
    assert native_problem(model) == "there is no C++ compiler; install g++"
    assert not Policy(model).native
    assert native_problem(tiny_model("wide")) is None, "fp32 would not use it"


def test_models_it_does_not_serve_get_torch_s() -> None:
    assert not Policy(tiny_model("wide")).native, "fp32"
    assert not Policy(tiny_model("llama").bfloat16()).native, "heads of 8"
    assert lay_out(random_pairs(1)).table.native is False
