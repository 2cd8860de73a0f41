"""Losses that couple the pairs of a step, trained pack by pack all the same.

Where a pair's loss depends on the others, no pack knows its gradient. But all a weight does to the loss it does through
the log-probabilities, so a step goes in two passes: the first one, without gradients, collects the log-probabilities of
all pairs, over all packs and processes; from them follows dL/dlogp of each sequence. The second one computes each pack
again and differentiates the sum of logp * dL/dlogp, whose gradient in the weights is that of the loss. So packs and
processes change nothing but rounding.

Both passes must compute the same log-probabilities. They run the same packs in the same order from the same seed, so
that adapters with dropout draw the same masks twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.config.schema import Objective
from engine.objectives import PairLogps, pair_losses


@dataclass(frozen=True, slots=True)
class Pull:
    """What a coupled loss does to B of its pairs: each tensor is [B]."""

    losses: Tensor
    chosen: Tensor
    """How the sum of all losses changes with the log-probability of the chosen completion."""
    rejected: Tensor

    def on(self, logps: PairLogps) -> Tensor:
        """[B] numbers that have, summed, the gradient of the sum of all losses."""
        return self.chosen * logps.policy_chosen + self.rejected * logps.policy_rejected

    def split(self, sizes: Sequence[int]) -> "list[Pull]":
        """The same in parts of so many pairs."""
        columns = (self.losses, self.chosen, self.rejected)
        return [
            Pull(*parts) for parts in zip(*(column.split(list(sizes)) for column in columns), strict=True)
        ]


def pull_of(logps: PairLogps, objective: Objective) -> Pull:
    """The pull on every pair of a step, whose pairs are all in `logps`."""
    chosen, rejected = logps.policy_chosen.detach(), logps.policy_rejected.detach()
    with torch.enable_grad():
        sides = chosen.requires_grad_(), rejected.requires_grad_()
        losses = pair_losses(replace(logps, policy_chosen=chosen, policy_rejected=rejected), objective)
        slopes = torch.autograd.grad(losses.sum(), sides)
    return Pull(losses.detach(), *slopes)
