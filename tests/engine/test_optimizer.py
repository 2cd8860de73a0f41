"""Master weights, schedules, and that the moments come back bit for bit."""

import math

import pytest
import torch
from torch import nn
from transformers import get_scheduler

from engine.config.schema import Optimizer
from engine.optimizer import MasterWeights, learning_rate, split_precision
from engine.rounding import to_bfloat16


def masters(dtype: torch.dtype) -> tuple[nn.Linear, MasterWeights]:
    torch.manual_seed(0)
    layer = nn.Linear(8, 8)
    parameters = dict(layer.named_parameters())
    return layer, MasterWeights(
        parameters,
        split_precision(layer, parameters, dtype, torch.device("cpu"), adapters=False),
        Optimizer(learning_rate=1e-2),
    )


def take(layer: nn.Linear, weights: MasterWeights, seed: int, rate: float = 1e-5) -> float:
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(seed)).to(layer.weight.dtype)
    for half in x.chunk(2):
        layer(half).square().sum().backward()
        weights.take_gradients()
    norm = weights.clip()
    weights.step(rate)
    return norm


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_schedules_are_those_of_transformers(schedule: str) -> None:
    settings = Optimizer.model_validate({"learning_rate": 0.5, "schedule": schedule, "warmup_ratio": 0.25})
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    name = "constant_with_warmup" if schedule == "constant" else schedule
    theirs = get_scheduler(name, optimizer, num_warmup_steps=math.ceil(0.25 * 21), num_training_steps=21)
    for step in range(1, 22):
        assert learning_rate(settings, step, 21) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()


def test_steps_below_a_bf16_ulp_still_add_up() -> None:
    layer, weights = masters(torch.bfloat16)
    before = {name: weight.clone() for name, weight in weights.weights.items()}
    for seed in range(3):
        take(layer, weights, seed, rate=1e-7)
    assert layer.weight.dtype == torch.bfloat16
    assert not torch.equal(weights.weights["weight"], before["weight"])
    assert torch.equal(layer.weight, to_bfloat16(weights.weights["weight"]))


def test_fp32_needs_no_copies() -> None:
    layer, weights = masters(torch.float32)
    assert weights.weights["weight"] is layer.weight


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_state_comes_back_bit_for_bit(dtype: torch.dtype) -> None:
    layer, weights = masters(dtype)
    take(layer, weights, 1)
    saved = {n: w.detach().clone() for n, w in weights.weights.items()}
    moments = {n: t.clone() for n, t in weights.state().items()}
    take(layer, weights, 2)

    other_layer, other = masters(dtype)
    other.load(saved, moments)
    take(other_layer, other, 2)
    for name, weight in weights.weights.items():
        assert torch.equal(weight, other.weights[name])
    assert torch.equal(layer.weight, other_layer.weight)


def test_gradients_of_packs_are_clipped_as_one() -> None:
    layer, weights = masters(torch.float32)
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    layer(x).square().sum().backward()
    whole = float(torch.stack([p.grad.norm() for p in layer.parameters() if p.grad is not None]).norm())
    weights.drop_gradients()
    assert take(layer, weights, 1) == pytest.approx(whole, rel=1e-5)
