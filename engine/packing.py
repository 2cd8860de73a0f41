"""How well a plan packs: what sharing saves, how full and how even the packs are, and which pack is the largest."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from engine.memory import Work
from engine.plan import StepPlan

STEPS_LOOKED_AT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Means over the steps looked at."""

    packs_per_step: float
    """On each rank."""
    tokens_per_pack: float
    sharing: float
    """Tokens of all sequences over those computed: 1 where nothing is shared."""
    padding: float
    """Tokens computed in vain over those computed. Packs are never padded, so it is 0; the figure is for comparison."""
    imbalance: float
    """Cost of a step's dearest rank over that of the mean rank: 1 where all ranks finish together."""

    def to_json(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        saved = 1 - 1 / self.sharing
        return (
            f"{self.packs_per_step:.1f} packs a step, {self.tokens_per_pack:,.0f} tokens each; sharing prompts saves "
            f"{saved:.0%} of all tokens, none are padding"
        )


def measure(
    steps: Iterable[StepPlan],
    tokens: NDArray[np.int64],
    unshared: NDArray[np.int64],
    costs: NDArray[np.float64],
) -> Packing:
    """The packing of `steps`, by each pair's tokens as computed, as they were without sharing, and costs."""
    packs = computed = alone = ranks = 0
    uneven = []
    for plan in steps:
        members = [list(pack) for rank in plan.packs for pack in rank]
        flat = [pair for pack in members for pair in pack]
        packs, ranks = packs + len(members), ranks + len(plan.packs)
        computed, alone = computed + int(tokens[flat].sum()), alone + int(unshared[flat].sum())
        loads = [sum(float(costs[list(pack)].sum()) for pack in rank) for rank in plan.packs]
        uneven.append(max(loads) * len(loads) / sum(loads))
    return Packing(
        packs_per_step=packs / ranks,
        tokens_per_pack=computed / packs,
        sharing=alone / computed,
        padding=0.0,
        imbalance=float(np.mean(uneven)),
    )


def largest(steps: Iterable[StepPlan], tokens: NDArray[np.int64], rows: NDArray[np.int64]) -> Work:
    """The most tokens and scored rows that meet in a pack of `steps`, and the most packs of a step on a rank."""
    plans = list(steps)
    members = [list(pack) for plan in plans for rank in plan.packs for pack in rank]
    return Work(
        tokens=max(int(tokens[pack].sum()) for pack in members),
        rows=max(int(rows[pack].sum()) for pack in members),
        packs=max(len(rank) for plan in plans for rank in plan.packs),
    )
