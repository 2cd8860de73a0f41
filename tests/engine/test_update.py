"""AdamW in one pass against torch's, and its rounded copy against the rounding it stands for."""

import pytest
import torch
from torch import Tensor

from engine.kernels.update import Trained, formula, update
from engine.rounding import PERIOD, to_bfloat16

RATE, DECAY = 1e-2, 0.1


def parameter(size: int) -> Trained:
    g = torch.Generator().manual_seed(size)
    return Trained(
        weight=torch.randn(size, generator=g) * 0.02,
        average=torch.zeros(size),
        square=torch.zeros(size),
        grad=torch.randn(size, generator=g).bfloat16(),
        copy=torch.zeros(size, dtype=torch.bfloat16),
    )


@pytest.mark.parametrize("size", [1, 576, PERIOD - 1, PERIOD, PERIOD + 1, 3 * PERIOD + 17])
def test_it_is_adamw_and_leaves_the_rounded_copy(size: int) -> None:
    mine = parameter(size)
    theirs = torch.nn.Parameter(mine.weight.clone())
    adamw = torch.optim.AdamW([theirs], lr=RATE, weight_decay=DECAY, fused=True)
    for step in range(1, 4):
        theirs.grad = mine.grad.float() * 0.5
        adamw.step()
        update(mine, step=step, rate=RATE, decay=DECAY, scale=0.5)
    assert mine.copy is not None
    torch.testing.assert_close(mine.weight, theirs.detach(), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(mine.square, adamw.state[theirs]["exp_avg_sq"], rtol=1e-5, atol=1e-9)
    assert torch.equal(mine.copy, to_bfloat16(mine.weight))


def test_compiled_and_eager_agree() -> None:
    compiled, eager = parameter(1000), parameter(1000)
    update(compiled, step=1, rate=RATE, decay=DECAY, scale=1.0)
    numbers = torch.tensor([RATE / 0.1, 0.001**0.5, 1 - RATE * DECAY, 1.0])
    formula(eager.weight, eager.average, eager.square, eager.grad, numbers)
    torch.testing.assert_close(compiled.weight, eager.weight, rtol=1e-5, atol=1e-7)


def test_an_fp32_weight_has_no_copy_and_keeps_its_shape() -> None:
    flat = parameter(12)
    shaped = Trained(
        weight=flat.weight.view(3, 4),
        average=flat.average.view(3, 4),
        square=flat.square.view(3, 4),
        grad=flat.grad.float().view(3, 4),
        copy=None,
    )
    before = shaped.weight.clone()
    update(shaped, step=1, rate=RATE, decay=0.0, scale=1.0)
    moved: Tensor = (before - shaped.weight).abs()
    assert shaped.weight.shape == (3, 4)
    assert torch.allclose(moved, torch.full((3, 4), RATE), rtol=1e-3)
