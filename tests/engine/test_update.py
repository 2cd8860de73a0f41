"""AdamW in one pass, and by torch where nothing is compiled, against torch's on whole weights."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from engine.kernels.update import BETAS, Trained, formula, update, update_by_torch
from engine.memory import UPDATED
from engine.rounding import PERIOD, lower_half, restore, thresholds, to_bfloat16

RATE, DECAY = 1e-2, 0.1
PART = UPDATED["cpu"]
SIZES = [1, 576, PERIOD - 1, PERIOD, PERIOD + 1, 3 * PERIOD + 17]


def parameter(size: int, *, split: bool = True) -> Trained:
    g = torch.Generator().manual_seed(size)
    weight = torch.randn(size, generator=g) * 0.02
    return Trained(
        weight=to_bfloat16(weight) if split else weight,
        lower=lower_half(weight) if split else None,
        average=torch.zeros(size),
        square=torch.zeros(size),
        grad=torch.randn(size, generator=g).bfloat16(),
    )


def exact(one: Trained) -> Tensor:
    return one.weight if one.lower is None else restore(one.weight, one.lower)


@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_it_is_adamw(size: int, split: bool) -> None:
    mine, by_torch = parameter(size, split=split), parameter(size, split=split)
    theirs = torch.nn.Parameter(exact(mine).clone())
    adamw = torch.optim.AdamW([theirs], lr=RATE, weight_decay=DECAY, betas=BETAS, fused=True)
    for step in range(1, 4):
        theirs.grad = mine.grad.float() * 0.5
        adamw.step()
        update(mine, step=step, rate=RATE, decay=DECAY, scale=0.5)
        update_by_torch([by_torch], [step], rate=RATE, decay=DECAY, scale=0.5)
    assert torch.equal(exact(by_torch), theirs.detach())
    assert torch.equal(by_torch.square, adamw.state[theirs]["exp_avg_sq"])
    torch.testing.assert_close(exact(mine), theirs.detach(), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(mine.square, by_torch.square, rtol=1e-5, atol=1e-9)
    if split:
        assert torch.equal(mine.weight, to_bfloat16(exact(mine)))


def test_several_at_once_are_each_at_their_own_step() -> None:
    together = [parameter(5, split=False), parameter(7, split=False), parameter(9)]
    alone = [parameter(5, split=False), parameter(7, split=False), parameter(9)]
    update_by_torch(together, [1, 2, 3], rate=RATE, decay=DECAY, scale=1.0)
    for number, one in enumerate(alone, start=1):
        update_by_torch([one], [number], rate=RATE, decay=DECAY, scale=1.0)
    assert all(torch.equal(exact(a), exact(b)) for a, b in zip(together, alone, strict=True))


def test_more_than_one_part_is_one_update() -> None:
    parted, whole = parameter(PART + 3), parameter(PART + 3, split=False)
    update_by_torch([parted], [1], rate=RATE, decay=DECAY, scale=1.0)
    update_by_torch([whole], [1], rate=RATE, decay=DECAY, scale=1.0)
    assert torch.equal(exact(parted), whole.weight)


def test_compiled_and_eager_agree() -> None:
    compiled, eager = parameter(1000), parameter(1000)
    update(compiled, step=1, rate=RATE, decay=DECAY, scale=1.0)
    numbers = torch.tensor([RATE / 0.1, 0.001**0.5, 1 - RATE * DECAY, 1.0])
    raised = thresholds(torch.device("cpu"))[:1000]
    formula(eager.weight, eager.average, eager.square, eager.grad, numbers, eager.lower, raised)
    torch.testing.assert_close(exact(compiled), exact(eager), rtol=1e-5, atol=1e-7)
    assert torch.equal(eager.weight, to_bfloat16(exact(eager)))


def test_parts_of_every_kind_run_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch._dynamo.config, "fail_on_recompile_limit_hit", True)
    torch.compiler.reset()
    for size in (2 * PERIOD + 17, PERIOD, 576, 1):
        narrow = parameter(size)
        for trained in (narrow, replace(narrow, grad=narrow.grad.float())):
            update(trained, step=1, rate=RATE, decay=DECAY, scale=1.0)


def test_a_weight_keeps_its_shape() -> None:
    flat = parameter(12, split=False)
    shaped = Trained(
        weight=flat.weight.view(3, 4),
        lower=None,
        average=flat.average.view(3, 4),
        square=flat.square.view(3, 4),
        grad=flat.grad.float().view(3, 4),
    )
    before = shaped.weight.clone()
    update(shaped, step=1, rate=RATE, decay=0.0, scale=1.0)
    moved: Tensor = (before - shaped.weight).abs()
    assert shaped.weight.shape == (3, 4)
    assert torch.allclose(moved, torch.full((3, 4), RATE), rtol=1e-3)
