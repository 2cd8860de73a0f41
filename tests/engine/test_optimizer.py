"""Master weights, schedules, and that the moments come back bit for bit."""

import math

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters
from transformers import get_scheduler

from engine.config.schema import Optimizer
from engine.optimizer import MasterWeights, cast_model, learning_rate, lower_halves
from engine.rounding import to_bfloat16
from engine.stored import MOMENTS

CPU = torch.device("cpu")


def masters(dtype: torch.dtype) -> tuple[nn.Linear, MasterWeights]:
    torch.manual_seed(0)
    layer = nn.Linear(8, 8)
    parameters = dict(layer.named_parameters())
    lower = {} if dtype == torch.float32 else lower_halves(parameters, CPU)
    cast_model(layer, dtype, CPU, adapters=False)
    return layer, MasterWeights(parameters, lower, Optimizer(learning_rate=1e-2))


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
    before = weights.weight("weight")
    for seed in range(3):
        take(layer, weights, seed, rate=1e-7)
    assert layer.weight.dtype == torch.bfloat16
    assert not torch.equal(weights.weight("weight"), before)
    assert torch.equal(layer.weight, to_bfloat16(weights.weight("weight")))


def test_fp32_needs_no_copies() -> None:
    layer, weights = masters(torch.float32)
    assert weights.weight("weight").data_ptr() == layer.weight.data_ptr()


def test_a_rehearsal_changes_no_bit_and_leaves_nothing_to_compile() -> None:
    layer, weights = masters(torch.bfloat16)
    weights.compiled = True
    before = {name: weights.weight(name) for name, _ in layer.named_parameters()}
    torch.compiler.reset()
    weights.rehearse(as_they_come=True, summed=True)
    assert all(torch.equal(weights.weight(name), weight) for name, weight in before.items())
    assert weights.state() == {}
    counters.clear()
    take(layer, weights, seed=0)
    assert counters["frames"]["total"] == 0
    assert not any(torch.equal(weights.weight(name), weight) for name, weight in before.items())


@pytest.mark.parametrize("compiled", [False, True])
def test_weights_whose_halves_are_apart_train_as_whole_ones(compiled: bool) -> None:
    """By the same gradients, those of a model that computes in bf16, bit for bit."""
    layer, weights = masters(torch.bfloat16)
    whole_layer, whole = masters(torch.float32)
    weights.compiled = whole.compiled = compiled
    for seed in range(4):
        x = torch.randn(4, 8, generator=torch.Generator().manual_seed(seed)).bfloat16()
        layer(x).square().sum().backward()
        for name, parameter in layer.named_parameters():
            assert parameter.grad is not None
            whole_layer.get_parameter(name).grad = parameter.grad.float()
        weights.take_gradients()
        assert weights.clip() == whole.clip()
        for one in (weights, whole):
            one.step(1e-4)
    for name, parameter in layer.named_parameters():
        assert torch.equal(weights.weight(name), whole.weight(name))
        assert torch.equal(parameter, to_bfloat16(whole.weight(name)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_state_comes_back_bit_for_bit(dtype: torch.dtype) -> None:
    layer, weights = masters(dtype)
    take(layer, weights, 1)
    saved = {name: weights.weight(name).clone() for name in weights.parameters}
    moments = {n: t.clone() for n, t in weights.state().items()}
    take(layer, weights, 2)

    other_layer, other = masters(dtype)
    other.load(saved.__getitem__, lambda name: {key: moments[f"{name}.{key}"] for key in MOMENTS})
    take(other_layer, other, 2)
    for name in weights.parameters:
        assert torch.equal(weights.weight(name), other.weight(name))
    assert torch.equal(layer.weight, other_layer.weight)


def test_gradients_of_packs_are_clipped_as_one() -> None:
    layer, weights = masters(torch.float32)
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    layer(x).square().sum().backward()
    whole = float(torch.stack([p.grad.norm() for p in layer.parameters() if p.grad is not None]).norm())
    weights.drop_gradients()
    assert take(layer, weights, 1) == pytest.approx(whole, rel=1e-5)


def test_norm_of_a_large_gradient_is_exact() -> None:
    """Of 40 million numbers at once torch's own fp32 norm is a third of a percent short."""
    gradient = torch.randn(40_000, 1_000, generator=torch.Generator().manual_seed(0)).bfloat16()
    weight = nn.Parameter(torch.zeros(40_000, 1_000))
    weights = MasterWeights({"weight": weight}, {}, Optimizer(max_grad_norm=1.0))
    weight.grad = gradient.float()
    exact = float(torch.linalg.vector_norm(gradient.double()))
    assert weights.clip() == pytest.approx(exact, rel=1e-4)
