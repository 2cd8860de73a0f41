"""Every preference loss: a pure function of the log-probabilities of a step's pairs, in one table.

Notation of the formulas: for a pair, a = log pi(chosen) - log ref(chosen) and b the same for rejected, summed over
completion tokens; nc, nr the numbers of completion tokens; ls = log sigmoid.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engine.config.schema import Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLogps:
    """Sequence log-probabilities of B pairs, each tensor [B] fp32."""

    policy_chosen: Tensor
    policy_rejected: Tensor
    reference_chosen: Tensor
    reference_rejected: Tensor
    chosen_length: Tensor
    rejected_length: Tensor

    @property
    def chosen_ratio(self) -> Tensor:
        return self.policy_chosen - self.reference_chosen

    @property
    def rejected_ratio(self) -> Tensor:
        return self.policy_rejected - self.reference_rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A row of the table. `per_pair` gives [B], each pair's loss without regard to the others."""

    per_pair: Callable[[PairLogps, Objective], Tensor]
    paper: str
    formula: str


def sigmoid(logps: PairLogps, objective: Objective) -> Tensor:
    """DPO, and with label smoothing conservative DPO: -(1 - e) ls(beta (a - b)) - e ls(-beta (a - b))."""
    margin = objective.beta * (logps.chosen_ratio - logps.rejected_ratio)
    smoothing = objective.label_smoothing
    return -(1 - smoothing) * F.logsigmoid(margin) - smoothing * F.logsigmoid(-margin)


def ipo(logps: PairLogps, objective: Objective) -> Tensor:
    """Identity preference optimisation, on means over tokens: (a / nc - b / nr - 1 / (2 beta))^2."""
    chosen = logps.chosen_ratio / logps.chosen_length
    rejected = logps.rejected_ratio / logps.rejected_length
    return (chosen - rejected - 1 / (2 * objective.beta)).square()


def hinge(logps: PairLogps, objective: Objective) -> Tensor:
    """A margin of one: max(0, 1 - beta (a - b))."""
    return torch.relu(1 - objective.beta * (logps.chosen_ratio - logps.rejected_ratio))


LOSSES: dict[str, Loss] = {
    "sigmoid": Loss(
        per_pair=sigmoid,
        paper="Rafailov et al. 2023, arXiv:2305.18290, eq. 7; smoothing: Mitchell 2023, 'A note on DPO with noisy "
        "preferences', eq. 3",
        formula="-(1 - e) ls(beta (a - b)) - e ls(-beta (a - b))",
    ),
    "ipo": Loss(
        per_pair=ipo,
        paper="Azar et al. 2023, arXiv:2310.12036, eq. 17, on token means",
        formula="(a / nc - b / nr - 1 / (2 beta))^2",
    ),
    "hinge": Loss(
        per_pair=hinge,
        paper="Zhao et al. 2023 (SLiC), arXiv:2305.10425; Liu et al. 2023 (RSO), arXiv:2309.06657",
        formula="max(0, 1 - beta (a - b))",
    ),
}


def pair_losses(logps: PairLogps, objective: Objective) -> Tensor:
    """[B] fp32: the loss of each pair under the configured objective."""
    return LOSSES[objective.loss].per_pair(logps, objective)


METRICS = (
    "loss",
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "logps/chosen",
    "logps/rejected",
)


@torch.no_grad()
def pair_metrics(losses: Tensor, logps: PairLogps, objective: Objective) -> Tensor:
    """[B, len(METRICS)] fp32: what is reported of each pair, under TRL's names; rewards are beta times the ratio."""
    chosen, rejected = objective.beta * logps.chosen_ratio, objective.beta * logps.rejected_ratio
    columns = (
        losses,
        chosen,
        rejected,
        chosen - rejected,
        (chosen > rejected).float(),
        logps.policy_chosen,
        logps.policy_rejected,
    )
    return torch.stack([column.detach().float() for column in columns], dim=1)
