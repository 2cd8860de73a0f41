"""The model's layers, head and update compiled, where it pays and where a compiler is at hand.

Eager elementwise work goes through memory once an operation and costs a small model as much as its matrix products.
Every layer runs one and the same compiled code, for packs of any length. Compiled code rounds between operations where
eager code does, so that passes with and without gradients, with and without adapters, agree to the last bit: the
reference can be filled by the numerics that train.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_layers import GradientCheckpointingLayer

from engine.config.schema import Config
from engine.data.prepared.pairs import Pair
from engine.kernels.compiled import CompiledFold, compiler_problem
from engine.policy import TOLERANCE, Policy, TokenStats

OPTIONS: dict[str, Any] = {"emulate_precision_casts": True}
PAYS_FROM = {"cpu": 3e13, "cuda": 5e16}
"""Operations of a whole training from which the seconds a first compilation takes come back."""
BACKWARD_FACTOR = 6
"""Operations of a training step for each weight and token: two forward, four backward."""


def wanted(config: Config, weights: int, tokens: float, device: str) -> bool:
    """Whether to compile, for a model of `weights` weights that will be trained on `tokens` tokens in all."""
    asked = config.train.compile
    if asked != "auto":
        return asked == "on"
    return BACKWARD_FACTOR * weights * tokens >= PAYS_FROM.get(device, PAYS_FROM["cuda"])


def compile_policy(policy: Policy, pair: Pair) -> str | None:
    """Compile the policy's layers and head, and try them on `pair`; returns in words why it runs eagerly as before.

    Compilation happens on first use: the pass over `pair`, with and without gradients, is that use.
    """
    if policy.mode == "single":
        return "the model does not run packs"
    set_compiler()
    if problem := compiler_problem():
        return f"there is no working compiler ({problem})"
    expected = _token_logps(policy, pair)
    try:
        _switch(policy, on=True)
        gap = float((_token_logps(policy, pair) - expected).abs().mean())
        _try_training(policy, pair)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a tool chain can fail with
        _switch(policy, on=False)
        first, *_ = str(error).strip().splitlines() or [""]
        return f"compilation failed ({type(error).__name__}: {first})"
    if gap > TOLERANCE[policy.base.dtype]:
        _switch(policy, on=False)
        return f"compiled log-probabilities differ from the model's own by {gap:.2g} nats a token"
    return None


def set_compiler() -> None:
    """Have torch compile in this process: no helpers to outlive it. Where results are kept it was told before."""
    torch._inductor.config.compile_threads = 1
    # What the backward pass can form anew out of its neighbours it does: a third less is kept from the forward pass.
    torch._functorch.config.ban_recompute_materialized_backward = False


def _layers(policy: Policy) -> Iterator[GradientCheckpointingLayer]:
    for module in policy.base.modules():
        if isinstance(module, GradientCheckpointingLayer):
            yield module


def _switch(policy: Policy, *, on: bool) -> None:
    """Run compiled, or eagerly again."""
    for layer in _layers(policy):
        if on:
            layer.forward = torch.compile(layer.forward, dynamic=True, options=OPTIONS)
        else:
            layer.__dict__.pop("forward", None)
    policy.use_fold(CompiledFold() if on and policy.base.device.type == "cpu" else None)
    policy.compiled = on


@torch.no_grad()
def _token_logps(policy: Policy, pair: Pair) -> Tensor:
    return policy.token_logps(policy.lay_out([pair]))


def _try_training(policy: Policy, pair: Pair) -> None:
    """A forward and a backward pass, in the state they are trained in, telling all; the gradients are dropped."""
    before = policy.training
    policy.train()
    with _no_gradients_left(policy), policy.telling(TokenStats(policy.base.device)):
        policy(policy.lay_out([pair])).sum().backward()
    policy.train(before)


@contextmanager
def _no_gradients_left(policy: Policy) -> Iterator[None]:
    try:
        yield
    finally:
        policy.zero_grad(set_to_none=True)
