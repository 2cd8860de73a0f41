"""The fused head against the formula in fp64: every back end, policy, shape of logits and awkward size."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from engine.kernels import logprob
from engine.kernels.fold import EagerFold, LogitShape
from engine.kernels.logprob import HeadOptions, eager_logprob, fused_logprob, tiles
from engine.memory import TILE_BYTES
from tests.engine.heads import FOLDS, SHAPES, Head, expected, fused, largest_logits, make_head

KEPT, RECOMPUTED = 1 << 30, 0
UNIT = 2.0**-8
"""Spacing of bf16 numbers relative to their size; rounding errs by half of it."""


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tiles even of a small head, of its rows and of its vocabulary, the last not full."""
    monkeypatch.setitem(TILE_BYTES, "cpu", 1)
    monkeypatch.setattr(logprob, "LEAST_COLUMNS", 48)


def relative(mine: Tensor, theirs: Tensor) -> float:
    return float((mine.double() - theirs.double()).norm() / theirs.double().norm().clamp_min(1e-30))


@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("budget", [KEPT, RECOMPUTED], ids=["kept", "recomputed"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fold", FOLDS)
def test_fp32_equals_fp64(fold: str, shape: str, budget: int, bias: bool) -> None:
    exact = make_head(bias=bias)
    options = HeadOptions(shape=SHAPES[shape], fold=FOLDS[fold], budget=budget)
    mine = fused(exact.to(torch.float32), options)
    theirs = expected(exact.to(torch.float64), SHAPES[shape])
    assert mine[0].dtype == torch.float32
    assert (mine[0].double() - theirs[0]).abs().max() < 1e-5 * theirs[0].abs().max()
    for a, b in zip(mine[1:], theirs[1:], strict=True):
        assert relative(a, b) < 1e-5


@pytest.mark.parametrize("budget", [KEPT, RECOMPUTED], ids=["kept", "recomputed"])
@pytest.mark.parametrize("fold", FOLDS)
def test_bf16_errs_by_the_rounding_of_its_logits_and_no_more(fold: str, budget: int) -> None:
    """A logit is off by UNIT/2 of the largest; so is lse, a weighted mean of logits: twice that for their difference.

    A probability is then off by that much of itself, and the gradient's own entries are rounded twice more.
    """
    head = make_head(size=0.3).to(torch.bfloat16)
    mine = fused(head, HeadOptions(fold=FOLDS[fold], budget=budget))
    theirs = expected(head.to(torch.float64), LogitShape())
    bound = UNIT * largest_logits(head)
    assert ((mine[0].double() - theirs[0]).abs() <= bound + 1e-5).all()
    for a, b in zip(mine[1:], theirs[1:], strict=True):
        assert relative(a, b) < float(bound.max()) + UNIT


@pytest.mark.parametrize("shape", SHAPES)
def test_gradcheck(shape: str) -> None:
    head = make_head(rows=5, hidden=4, vocabulary=7, bias=True).to(torch.float64)
    options = HeadOptions(shape=SHAPES[shape], budget=RECOMPUTED)

    def function(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return fused_logprob(hidden, weight, head.targets, bias, options)[0]

    assert torch.autograd.gradcheck(function, tuple(head.leaves))


@pytest.mark.parametrize("shape", SHAPES)
def test_kept_logits_give_what_recomputed_ones_give(shape: str) -> None:
    head = make_head(bias=True).to(torch.float64)
    both = [fused(head, HeadOptions(shape=SHAPES[shape], budget=budget)) for budget in (KEPT, RECOMPUTED)]
    for a, b in zip(*both, strict=True):
        assert relative(a, b) < 1e-13


def test_kept_logits_serve_one_backward_pass_and_refuse_a_second() -> None:
    """They become their own gradient, so a second pass would be silently wrong."""
    head = make_head().to(torch.float32)
    logp, _ = fused_logprob(head.hidden, head.weight, head.targets)
    logp.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        logp.sum().backward()


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_frozen_head_gives_the_same_gradient_and_gets_none(fold: str, shape: str) -> None:
    head = make_head(bias=True).to(torch.float32)
    theirs = expected(head, SHAPES[shape])
    assert head.bias is not None
    frozen = Head(
        hidden=head.hidden,
        weight=head.weight.detach(),
        bias=head.bias.detach(),
        targets=head.targets,
        upstream=head.upstream,
    )
    logp, _ = fused_logprob(
        frozen.hidden,
        frozen.weight,
        frozen.targets,
        frozen.bias,
        HeadOptions(shape=SHAPES[shape], fold=FOLDS[fold]),
    )
    (grad,) = torch.autograd.grad(logp, [frozen.hidden], frozen.upstream)
    assert relative(logp.detach(), theirs[0]) < 1e-5
    assert relative(grad, theirs[1]) < 1e-5


def test_a_frozen_head_keeps_nothing_of_the_vocabulary_s_size() -> None:
    head = make_head()
    logp, _ = fused_logprob(head.hidden.float().requires_grad_(), head.weight.float(), head.targets)
    saved = [x for x in logp.grad_fn.saved_tensors if x is not None]  # type: ignore[union-attr]
    assert max(x.numel() for x in saved) == head.hidden.numel()


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("rows", [0, 1, 63, 65, 128])
def test_any_number_of_rows(fold: str, rows: int) -> None:
    head = make_head(rows=rows, vocabulary=130).to(torch.float32)
    mine = fused(head, HeadOptions(fold=FOLDS[fold]))
    theirs = expected(head, LogitShape())
    assert mine[0].shape == (rows,)
    for a, b in zip(mine, theirs, strict=True):
        assert a.shape == b.shape
        assert torch.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("vocabulary", [4095, 4096, 4097, 9000])
def test_a_vocabulary_that_is_no_multiple_of_a_kernel_s_block(vocabulary: int) -> None:
    head = make_head(rows=9, vocabulary=vocabulary).to(torch.float32)
    for a, b in zip(
        fused(head, HeadOptions(fold=FOLDS["triton"])), expected(head, LogitShape()), strict=True
    ):
        assert relative(a, b) < 1e-5


@pytest.mark.parametrize("fold", FOLDS)
def test_logits_of_ten_thousand_stay_finite(fold: str) -> None:
    head = make_head(rows=80, size=1e4 / 15).to(torch.float32)
    assert largest_logits(head).max() > 1e4
    mine = fused(head, HeadOptions(fold=FOLDS[fold]))
    assert all(x.isfinite().all() for x in mine)
    theirs = expected(head.to(torch.float64), LogitShape())
    assert (mine[0].double() - theirs[0]).abs().max() < 1e-5 * float(largest_logits(head).max())


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_entropy_and_top_are_those_of_the_distribution(fold: str, shape: str) -> None:
    head = make_head().to(torch.float32)
    options = HeadOptions(shape=SHAPES[shape], fold=FOLDS[fold], stats=True)
    _, stats = fused_logprob(head.hidden, head.weight, head.targets, options=options)
    every = torch.arange(head.weight.shape[0])
    wide = head.to(torch.float64)
    logp = torch.stack(
        [expected_row(wide, row, every, SHAPES[shape]) for row in range(len(head.targets))]
    )  # [N, V]
    assert torch.allclose(stats.entropy.double(), -(logp.exp() * logp).sum(-1), atol=1e-4)
    assert torch.equal(stats.top.bool(), logp.argmax(-1) == head.targets)
    assert not stats.entropy.requires_grad


def expected_row(head: Head, row: int, every: Tensor, shape: LogitShape) -> Tensor:
    hidden = head.hidden[row].expand(len(every), -1)
    return eager_logprob(hidden, head.weight, every, None, shape).detach()


def test_a_tied_weight_gets_both_gradients() -> None:
    head = make_head(rows=40, hidden=8, vocabulary=50).to(torch.float32)
    ids = torch.arange(40)
    for function in (fused_logprob, None):
        embedded = torch.nn.functional.embedding(ids, head.weight)
        if function:
            logp = function(embedded, head.weight, head.targets)[0]
            (mine,) = torch.autograd.grad(logp.sum(), [head.weight])
        else:
            logits = (embedded @ head.weight.t()).log_softmax(-1)
            (theirs,) = torch.autograd.grad(logits.gather(1, head.targets[:, None]).sum(), [head.weight])
    assert relative(mine, theirs) < 1e-5


def test_without_gradients_nothing_is_kept() -> None:
    head = make_head()
    with torch.no_grad():
        logp, stats = fused_logprob(head.hidden, head.weight, head.targets)
    assert logp.grad_fn is None
    assert len(stats.entropy) == 0


def test_tiles_cover_all_rows_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TILE_BYTES, "cpu", 16 << 20)
    for rows in (0, 1, 64, 65, 1000, 4097):
        parts = tiles(rows, 49_152, 2, "cpu")
        assert [i for part in parts for i in range(part.start, part.stop)] == list(range(rows))
        sizes = [part.stop - part.start for part in parts]
        assert not sizes or max(sizes) - min(sizes) <= math.ceil(rows / len(sizes))


def test_the_eager_fold_is_the_twin_of_itself_in_place() -> None:
    head = make_head(rows=3, vocabulary=11)
    logits = head.hidden @ head.weight.t()
    folded = EagerFold().fold(logits, head.targets, LogitShape(), stats=False)
    into = logits.clone()
    EagerFold().slope_(into, folded.lse, head.targets, head.upstream[:3], LogitShape())
    assert torch.allclose(into.sum(-1), torch.zeros(3, dtype=torch.float64), atol=1e-9)


class _Largest(TorchDispatchMode):
    """Numbers of the largest tensor that an operation returns."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.size = 0

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.size = max(self.size, out.numel())
        return out


@pytest.mark.parametrize("kept", [True, False])
def test_a_pass_without_gradients_never_has_all_logits(kept: bool) -> None:
    rows, vocabulary = 3 * logprob.LEAST_ROWS, 100
    hidden, weight = torch.zeros(rows, 2), torch.zeros(vocabulary, 2, requires_grad=True)
    with torch.set_grad_enabled(kept), _Largest() as seen:
        fused_logprob(hidden, weight, torch.zeros(rows, dtype=torch.int64))
    assert (seen.size >= rows * vocabulary) == kept
