"""A weight that is embedding and head: the gradient that autograd would add up, and only one of its size."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from engine.kernels.tied import TiedEmbedding, TiedGradient, tie
from engine.policy import Policy
from tests.engine.tiny_folder import tiny_llama
from tests.tiny import random_pairs

PAIRS = random_pairs(4)


def policy_of(dtype: torch.dtype = torch.float32, *, tied: bool = True, **changes: Any) -> Policy:
    """A policy on a model of one embedding for both ends; with `tied` false its gradients are autograd's."""
    policy = Policy(tiny_llama(tie_word_embeddings=True, **changes).to(dtype)).train()
    if not tied:
        policy.base.get_input_embeddings().__class__ = nn.Embedding
        policy._tied = None
        policy.use_fold(None)
    return policy


def gradients(policy: Policy, times: int = 1) -> dict[str, Tensor]:
    """Of the sum of all log-probabilities, of `times` packs that are alive at once."""
    loss = torch.stack([policy(policy.lay_out(PAIRS[n : n + 2])).sum() for n in range(times)]).sum()
    loss.backward()
    return {name: weight.grad for name, weight in policy.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("padding", [None, 5])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("budget", [0, 1 << 30])
def test_all_gradients_are_those_of_autograd(padding: int | None, times: int, budget: int) -> None:
    found, expected = (policy_of(tied=tied, pad_token_id=padding) for tied in (True, False))
    for policy in (found, expected):
        policy.use_budget(budget)
    assert isinstance(found.base.get_input_embeddings(), TiedEmbedding)
    theirs = gradients(expected, times)
    ours = gradients(found, times)
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-5, atol=1e-6, msg=name)


def test_in_bf16_it_is_nearer_to_fp32_than_autograd_s() -> None:
    exact = gradients(policy_of(tied=False))["model.model.embed_tokens.weight"]
    ours, theirs = (
        gradients(policy_of(torch.bfloat16, tied=tied))["model.model.embed_tokens.weight"].float()
        for tied in (True, False)
    )
    assert (ours - exact).norm() <= 1.01 * (theirs - exact).norm()


class _Made(TorchDispatchMode):
    """Counts the tensors of a shape that operations make, but for views and what is done in place."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shape, self.places = shape, set[int]()

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and tuple(out.shape) == self.shape:
            self.places.add(out.untyped_storage().data_ptr())
        return out


@pytest.mark.parametrize("tied", [True, False])
def test_a_backward_pass_makes_one_tensor_of_the_weight_s_size(tied: bool) -> None:
    policy = policy_of(tied=tied)
    weight = policy.base.get_input_embeddings().weight
    loss = policy(policy.lay_out(PAIRS)).sum()
    with _Made(tuple(weight.shape)) as made:
        loss.backward()
    assert weight.grad is not None
    assert (len(made.places) == 1) is tied


def test_what_a_pass_that_broke_off_has_left_is_not_in_the_next() -> None:
    policy = policy_of()
    hook = policy.base.get_decoder().layers[0].register_full_backward_hook(_break_off)
    with pytest.raises(RuntimeError, match="broken off"):
        gradients(policy)
    hook.remove()
    policy.zero_grad()
    expected = gradients(policy_of())
    for name, gradient in gradients(policy).items():
        assert torch.equal(gradient, expected[name]), name


def _break_off(*_: object) -> None:
    raise RuntimeError("broken off")


def test_what_is_not_so_simple_is_left_to_autograd() -> None:
    one, other = nn.Embedding(4, 2), nn.Linear(2, 4, bias=False)
    assert tie(one, other) is None
    assert tie(one, None) is None
    for odd in (nn.Embedding(4, 2, max_norm=1.0), nn.Embedding(4, 2, sparse=True)):
        other.weight = odd.weight
        assert tie(odd, other) is None
        assert type(odd) is nn.Embedding
    other.weight = one.weight
    tied = tie(one, other)
    assert isinstance(tied, TiedGradient)
    assert tie(one, other) is tied


def test_frozen_it_is_an_embedding_as_any_other() -> None:
    policy = policy_of()
    policy.base.get_input_embeddings().weight.requires_grad_(requires_grad=False)
    assert not [name for name in gradients(policy) if "embed" in name]
