"""The fused head against its eager twin, kept and recomputed, in both types."""

import pytest
import torch
from torch import Tensor

from engine.kernels import logprob
from engine.kernels.logprob import linear_logprob, linear_logprob_eager

ROWS, HIDDEN, VOCABULARY = 150, 24, 301


def inputs(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    hidden = torch.randn(ROWS, HIDDEN, generator=g).to(dtype)
    weight = torch.randn(VOCABULARY, HIDDEN, generator=g).to(dtype)
    bias = torch.randn(VOCABULARY, generator=g).to(dtype)
    targets = torch.randint(0, VOCABULARY, (ROWS,), generator=g)
    return hidden, weight, bias, targets


def gradients(function: object, dtype: torch.dtype, with_bias: bool) -> list[Tensor]:
    hidden, weight, bias, targets = inputs(dtype)
    leaves = [x.requires_grad_() for x in (hidden, weight, bias)[: 3 if with_bias else 2]]
    out = function(hidden, weight, targets, bias if with_bias else None)  # type: ignore[operator]
    (out * torch.linspace(-1, 1, ROWS)).sum().backward()
    assert out.dtype == torch.float32
    return [out.detach(), *(leaf.grad.float() for leaf in leaves if leaf.grad is not None)]


@pytest.mark.parametrize("with_bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("budget", [0, 1 << 30], ids=["recomputed", "kept"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_fused_equals_eager(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, tolerance: float, budget: int, with_bias: bool
) -> None:
    monkeypatch.setattr(logprob, "LOGITS_BUDGET", budget)
    mine, theirs = (gradients(f, dtype, with_bias) for f in (linear_logprob, linear_logprob_eager))
    assert len(mine) == len(theirs) == (4 if with_bias else 3)
    for a, b in zip(mine, theirs, strict=True):
        assert (a - b).norm() / b.norm() < tolerance


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden, weight, _, targets = inputs(torch.float32)
    linear_logprob(hidden.requires_grad_(), weight, targets).sum().backward()
    assert hidden.grad is not None
    assert weight.grad is None
