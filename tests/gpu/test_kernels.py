"""The CUDA kernels on a card: against the formula, in the types that train, at sizes that pass 2^31 logits."""

import pytest
import torch
from torch import Tensor

from engine.compiled import compile_policy
from engine.kernels.fold import LogitShape
from engine.kernels.logprob import HeadOptions, eager_logprob, fused_logprob
from engine.policy import Policy
from tests.tiny import random_pairs, tiny_model

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

SHAPES = {"plain": LogitShape(), "capped": LogitShape(scale=0.5, softcap=30.0)}


def tensors(rows: int, hidden: int, vocabulary: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator("cuda").manual_seed(0)
    h = (torch.randn(rows, hidden, generator=g, device="cuda") * 0.5).to(dtype).requires_grad_()
    w = (torch.randn(vocabulary, hidden, generator=g, device="cuda") * 0.1).to(dtype).requires_grad_()
    return h, w, torch.randint(0, vocabulary, (rows,), generator=g, device="cuda")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 3e-2)])
def test_the_head_is_the_formula(shape: str, dtype: torch.dtype, tolerance: float) -> None:
    from engine.kernels.triton_fold import TritonFold

    h, w, y = tensors(300, 256, 50_001, dtype)
    options = HeadOptions(shape=SHAPES[shape], fold=TritonFold())
    mine = fused_logprob(h, w, y, options=options)[0]
    theirs = eager_logprob(h.double(), w.double(), y, shape=SHAPES[shape])
    assert (mine.double() - theirs).abs().max() < tolerance * theirs.abs().max()
    grads = zip(
        torch.autograd.grad(mine.sum(), [h, w]), torch.autograd.grad(theirs.sum(), [h, w]), strict=True
    )
    assert all((a - b).norm() / b.norm() < tolerance for a, b in grads)


def test_more_logits_than_an_int32_counts() -> None:
    from engine.kernels.triton_fold import TritonFold

    h, w, y = tensors(16_384, 64, 151_936, torch.bfloat16)
    whole = HeadOptions(fold=TritonFold(), budget=1 << 33)
    tiled = HeadOptions(fold=TritonFold(), budget=0)
    with torch.no_grad():
        mine, theirs = (fused_logprob(h, w, y, options=options)[0] for options in (whole, tiled))
    assert torch.equal(mine, theirs)


def test_a_compiled_policy_on_a_card_computes_what_it_did() -> None:
    policy = Policy(tiny_model("wide").bfloat16().cuda())
    pack = policy.lay_out(random_pairs(4))
    with torch.no_grad():
        eager = policy(pack)
    assert compile_policy(policy, random_pairs(1)[0]) is None
    with torch.no_grad():
        assert ((policy(pack) - eager).abs() < 0.1 * pack.lengths + 0.5).all()
