"""Every preference loss: a pure function of the log-probabilities of a step's pairs, in one table.

Notation of the formulas: for a pair, a = log pi(chosen) - log ref(chosen) and b the same for rejected, summed over
completion tokens; nc, nr the numbers of completion tokens; ls = log sigmoid; s = sigmoid.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engine.config.schema import Objective

START_TOLERANCE = 1e-3
"""Nats by which rounding may part a sequence from its reference before the first update; more is no rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLogps:
    """Sequence log-probabilities of B pairs, each tensor [B] fp32."""

    policy_chosen: Tensor
    policy_rejected: Tensor
    reference_chosen: Tensor
    reference_rejected: Tensor
    chosen_length: Tensor
    rejected_length: Tensor

    @classmethod
    def of(cls, table: Tensor) -> "PairLogps":
        """What `table` gives, back as it was."""
        return cls(**{field.name: table[:, column] for column, field in enumerate(fields(cls))})

    def table(self) -> Tensor:
        """[B, PAIR_COLUMNS]: a row for each pair, so that pairs of several packs can be put together."""
        return torch.stack([getattr(self, field.name) for field in fields(self)], dim=1)

    @property
    def chosen_ratio(self) -> Tensor:
        return self.policy_chosen - self.reference_chosen

    @property
    def rejected_ratio(self) -> Tensor:
        return self.policy_rejected - self.reference_rejected


PAIR_COLUMNS = len(fields(PairLogps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A row of the table."""

    per_pair: Callable[[PairLogps, Objective], Tensor]
    """[B] the loss of each pair; what is minimised is their mean."""
    paper: str
    formula: str
    coupled: bool = False
    """Whether a pair's loss depends on the others: all those of its optimiser step, or, in an evaluation, all held-out
    pairs. Such a loss must never be given a part of them."""


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


def robust(logps: PairLogps, objective: Objective) -> Tensor:
    """DPO freed of the bias of labels that are wrong with probability e: (-(1 - e) ls(m) + e ls(-m)) / (1 - 2 e)."""
    margin = objective.beta * (logps.chosen_ratio - logps.rejected_ratio)
    wrong = objective.label_smoothing
    return (-(1 - wrong) * F.logsigmoid(margin) + wrong * F.logsigmoid(-margin)) / (1 - 2 * wrong)


def sppo_hard(logps: PairLogps, objective: Objective) -> Tensor:
    """Self-play, preferences taken as certain: (a - 1 / (2 beta))^2 + (b + 1 / (2 beta))^2."""
    target = 1 / (2 * objective.beta)
    return (logps.chosen_ratio - target).square() + (logps.rejected_ratio + target).square()


def nca_pair(logps: PairLogps, objective: Objective) -> Tensor:
    """Noise contrast, each side for itself: -ls(beta a) - 1/2 ls(-beta a) - 1/2 ls(-beta b)."""
    chosen, rejected = objective.beta * logps.chosen_ratio, objective.beta * logps.rejected_ratio
    return -F.logsigmoid(chosen) - (F.logsigmoid(-chosen) + F.logsigmoid(-rejected)) / 2


def kto_pair(logps: PairLogps, objective: Objective) -> Tensor:
    """Each answer against the other side's mean: half of 1 - s(beta (a - B)) and half of 1 - s(beta (A - b)).

    A = max(0, mean a) and B = max(0, mean b) stand for the divergence from the reference, and are trained as well. By
    the halves, the mean over the pairs is the mean over all answers.
    """
    chosen, rejected = logps.chosen_ratio, logps.rejected_ratio
    above, below = chosen - _divergence(rejected), _divergence(chosen) - rejected
    return (torch.sigmoid(-objective.beta * above) + torch.sigmoid(-objective.beta * below)) / 2


def _divergence(ratios: Tensor) -> Tensor:
    """max(0, mean), which at 0 has the gradient of the mean.

    Every training starts at 0, where rounding must not decide whether there is a gradient: so 0 reaches down as far as
    rounding does.
    """
    mean = ratios.mean()
    return mean.detach().clamp(min=0) + (mean - mean.detach()) * (mean >= -START_TOLERANCE)


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
    "robust": Loss(
        per_pair=robust,
        paper="Chowdhury et al. 2024 (robust DPO), arXiv:2403.00409",
        formula="(-(1 - e) ls(beta (a - b)) + e ls(-beta (a - b))) / (1 - 2 e)",
    ),
    "sppo_hard": Loss(
        per_pair=sppo_hard,
        paper="Wu et al. 2024 (SPPO), arXiv:2405.00675, with preferences of 1 and 0",
        formula="(a - 1 / (2 beta))^2 + (b + 1 / (2 beta))^2",
    ),
    "nca_pair": Loss(
        per_pair=nca_pair,
        paper="Chen et al. 2024 (noise contrastive alignment), arXiv:2402.05369, of two answers",
        formula="-ls(beta a) - 1/2 ls(-beta a) - 1/2 ls(-beta b)",
    ),
    "kto_pair": Loss(
        per_pair=kto_pair,
        paper="Ethayarajh et al. 2024 (KTO), arXiv:2402.01306, both answers of every pair",
        formula="(1 - s(beta (a - max(0, mean b))) + 1 - s(beta (max(0, mean a) - b))) / 2",
        coupled=True,
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
