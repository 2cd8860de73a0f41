"""Losses against values that TRL 1.16's own loss code gave for three pairs, and the cDPO formula."""

import math

import pytest
import torch

from engine.config.schema import Objective
from engine.objectives import LOSSES, METRICS, PairLogps, pair_losses, pair_metrics

PAIRS = PairLogps(
    policy_chosen=torch.tensor([-3.263803, -7.867757, -5.775161]),
    policy_rejected=torch.tensor([-1.337231, -4.579247, -9.826498]),
    reference_chosen=torch.tensor([-3.459646, -10.425105, -1.544773]),
    reference_rejected=torch.tensor([-1.683706, -3.560884, -9.604497]),
    chosen_length=torch.tensor([2.0, 5.0, 3.0]),
    rejected_length=torch.tensor([2.0, 5.0, 5.0]),
)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (Objective(loss="sigmoid"), 0.714828),
        (Objective(loss="sigmoid", label_smoothing=0.1), 0.712884),
        (Objective(loss="hinge"), 1.019444),
        (Objective(loss="ipo"), 28.213781),
    ],
    ids=["sigmoid", "cdpo", "hinge", "ipo"],
)
def test_loss_equals_the_golden_value(objective: Objective, expected: float) -> None:
    assert float(pair_losses(PAIRS, objective).mean()) == pytest.approx(expected, rel=1e-5)


def test_every_loss_the_config_offers_is_in_the_table() -> None:
    offered = Objective.model_json_schema()["properties"]["loss"]["enum"]
    assert sorted(offered) == sorted(LOSSES)
    assert all(loss.paper and loss.formula for loss in LOSSES.values())


def test_at_the_reference_dpo_is_ln_2_and_no_margin() -> None:
    ones = torch.ones(2)
    same = PairLogps(
        policy_chosen=-ones,
        policy_rejected=-2 * ones,
        reference_chosen=-ones,
        reference_rejected=-2 * ones,
        chosen_length=ones,
        rejected_length=ones,
    )
    losses = pair_losses(same, Objective())
    metrics = dict(zip(METRICS, pair_metrics(losses, same, Objective()).mean(0).tolist(), strict=True))
    assert metrics["loss"] == pytest.approx(math.log(2))
    assert metrics["rewards/margins"] == 0
    assert metrics["rewards/accuracies"] == 0
