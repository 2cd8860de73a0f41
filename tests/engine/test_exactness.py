"""Packed and prefix-shared passes give what each sequence alone gives, for every architecture tried."""

import pytest
import torch
from torch import Tensor, nn

from engine.config.schema import Objective
from engine.data.prepared.pairs import Pair
from engine.objectives import PairLogps, pair_losses
from engine.policy import Mode, Policy, choose_mode
from tests.tiny import FAMILIES, random_pairs, tiny_model

PAIRS = random_pairs(8)


def alone(model: nn.Module, pair: Pair) -> tuple[Tensor, Tensor]:
    """The two sequence log-probabilities by the book: the model's own logits, one unpadded sequence at a time."""
    out = []
    for ids, start in ((pair.chosen, pair.chosen_start), (pair.rejected, pair.rejected_start)):
        tokens = torch.from_numpy(ids).long()[None]
        logps = model(input_ids=tokens).logits[0, :-1].log_softmax(-1)
        out.append(logps.gather(1, tokens[0, 1:, None])[start - 1 :].sum())
    return out[0], out[1]


def dpo_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """DPO against a made-up reference, so that gradients differ from pair to pair."""
    reference = torch.linspace(-40, -60, len(chosen))
    ones = torch.ones(len(chosen))
    logps = PairLogps(
        policy_chosen=chosen,
        policy_rejected=rejected,
        reference_chosen=reference,
        reference_rejected=reference + 2,
        chosen_length=ones,
        rejected_length=ones,
    )
    return pair_losses(logps, Objective(beta=0.05)).mean()


@pytest.mark.parametrize("checkpointing", [False, True], ids=["", "checkpointing"])
@pytest.mark.parametrize("mode", ["shared", "packed", "single"])
@pytest.mark.parametrize("family", FAMILIES)
def test_pack_equals_each_sequence_alone(family: str, mode: Mode, checkpointing: bool) -> None:
    reference = tiny_model(family)
    sides = [alone(reference, pair) for pair in PAIRS]
    chosen, rejected = torch.stack([c for c, _ in sides]), torch.stack([r for _, r in sides])
    dpo_loss(chosen, rejected).backward()

    model = tiny_model(family).train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    policy = Policy(model, mode)
    assert (policy.options.budget == 0) == checkpointing
    logps = policy(policy.lay_out(PAIRS))
    dpo_loss(logps[0::2], logps[1::2]).backward()

    torch.testing.assert_close(logps[0::2], chosen, rtol=1e-5, atol=0)
    torch.testing.assert_close(logps[1::2], rejected, rtol=1e-5, atol=0)
    for (name, mine), theirs in zip(model.named_parameters(), reference.parameters(), strict=True):
        assert mine.grad is not None, name
        assert theirs.grad is not None, name
        gap = (mine.grad - theirs.grad).norm() / theirs.grad.norm()
        assert gap < 1e-4, f"{name}: relative gradient error {gap:.2g}"


@pytest.mark.parametrize("family", FAMILIES)
def test_prefix_sharing_is_chosen_for_every_family(family: str) -> None:
    choice = choose_mode(Policy(tiny_model(family)), PAIRS[0], share_prompt=True, dropout=False)
    assert (choice.mode, choice.reason) == ("shared", None)
