"""Losses and their gradients against formulas written out here, and against what TRL 1.16's own loss code gave."""

import json
import math
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.config.schema import Objective
from engine.export import card
from engine.objectives import LOSSES, METRICS, PAIR_COLUMNS, PairLogps, pair_losses, pair_metrics

TRL: dict[str, Any] = json.loads((Path(__file__).parent / "trl_losses.json").read_text(encoding="utf-8"))
"""Pairs, and the mean losses and gradients TRL makes of them: `python -m benchmarks.trl_losses` computes them anew."""
PAIRS = PairLogps(
    **{name: torch.tensor(values, dtype=torch.float64) for name, values in TRL["pairs"].items()}
)

SETTINGS = [
    Objective(loss="sigmoid"),
    Objective(loss="sigmoid", beta=0.4, label_smoothing=0.2),
    Objective(loss="ipo"),
    Objective(loss="ipo", beta=0.5),
    Objective(loss="hinge"),
    Objective(loss="robust", label_smoothing=0.1),
    Objective(loss="robust", beta=0.3, label_smoothing=0.45),
    Objective(loss="sppo_hard"),
    Objective(loss="sppo_hard", beta=0.5),
    Objective(loss="nca_pair"),
    Objective(loss="nca_pair", beta=0.4),
    Objective(loss="kto_pair"),
    Objective(loss="kto_pair", beta=0.4),
]


def named(objective: Objective) -> str:
    return f"{objective.loss}-{objective.beta}-{objective.label_smoothing}"


SHIFTS = [(0.0, 0.0), (4.0, 0.0), (0.0, 6.0), (4.0, 6.0)]
"""Added to the log-probabilities of chosen and of rejected, so that the means kto_pair looks at have either sign."""


def s(x: Tensor) -> Tensor:
    """The sigmoid."""
    return 1 / (1 + (-x).exp())


def minus_log_s(x: Tensor) -> Tensor:
    """Minus its logarithm."""
    return (1 + (-x).exp()).log()


def positive(x: Tensor) -> Tensor:
    return x if x > 0 else 0 * x


def terms(logps: PairLogps, objective: Objective) -> list[Tensor]:
    """Of which the loss is the mean: one a pair, but of kto_pair one a sequence."""
    beta, e = objective.beta, objective.label_smoothing
    a = (logps.policy_chosen - logps.reference_chosen).unbind()
    b = (logps.policy_rejected - logps.reference_rejected).unbind()
    lengths = zip(logps.chosen_length, logps.rejected_length, strict=True)
    both = list(zip(a, b, strict=True))
    mean_a, mean_b = sum(a[1:], a[0]) / len(a), sum(b[1:], b[0]) / len(b)
    match objective.loss:
        case "sigmoid":
            return [(1 - e) * minus_log_s(beta * (x - y)) + e * minus_log_s(beta * (y - x)) for x, y in both]
        case "ipo":
            each = zip(both, lengths, strict=True)
            return [(x / n - y / m - 1 / (2 * beta)) ** 2 for (x, y), (n, m) in each]
        case "hinge":
            return [positive(1 - beta * (x - y)) for x, y in both]
        case "robust":
            return [
                ((1 - e) * minus_log_s(beta * (x - y)) - e * minus_log_s(beta * (y - x))) / (1 - 2 * e)
                for x, y in both
            ]
        case "sppo_hard":
            return [(x - 0.5 / beta) ** 2 + (y + 0.5 / beta) ** 2 for x, y in both]
        case "nca_pair":
            return [
                minus_log_s(beta * x) + 0.5 * minus_log_s(-beta * x) + 0.5 * minus_log_s(-beta * y)
                for x, y in both
            ]
        case "kto_pair":
            chosen = [1 - s(beta * (x - positive(mean_b))) for x in a]
            return chosen + [1 - s(beta * (positive(mean_a) - y)) for y in b]


def shifted(by: tuple[float, float], dtype: torch.dtype = torch.float64) -> PairLogps:
    """The pairs, their log-probabilities raised by as much."""
    raised = replace(
        PAIRS, policy_chosen=PAIRS.policy_chosen + by[0], policy_rejected=PAIRS.policy_rejected + by[1]
    )
    return PairLogps.of(raised.table().to(dtype))


def with_gradients(loss: Callable[[PairLogps], Tensor], logps: PairLogps) -> list[Tensor]:
    """fp64: the loss, and its gradients in the log-probabilities of the policy."""
    sides = [side.detach().clone().requires_grad_() for side in (logps.policy_chosen, logps.policy_rejected)]
    value = loss(replace(logps, policy_chosen=sides[0], policy_rejected=sides[1]))
    return [x.double() for x in (value.detach(), *torch.autograd.grad(value, sides))]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)], ids=str)
@pytest.mark.parametrize("by", SHIFTS, ids=str)
@pytest.mark.parametrize("objective", SETTINGS, ids=named)
def test_losses_and_gradients_are_those_of_the_formula(
    objective: Objective, by: tuple[float, float], dtype: torch.dtype, tolerance: float
) -> None:
    logps = shifted(by, dtype)
    found = with_gradients(lambda of: pair_losses(of, objective).mean(), logps)
    exact = PairLogps.of(logps.table().double())
    expected = with_gradients(lambda of: torch.stack(terms(of, objective)).mean(), exact)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", TRL["cases"], ids=lambda case: f"{case['loss']}-{case['beta']}")
def test_losses_and_gradients_are_trl_s(case: dict[str, Any]) -> None:
    objective = Objective(**{key: value for key, value in case.items() if key in Objective.model_fields})
    found = with_gradients(lambda of: pair_losses(of, objective).mean(), PAIRS)
    for one, name in zip(found, ("mean", "chosen", "rejected"), strict=True):
        torch.testing.assert_close(one, torch.tensor(case[name], dtype=torch.float64), rtol=1e-9, atol=1e-12)


def test_trl_was_asked_for_every_loss_it_has() -> None:
    assert {case["loss"] for case in TRL["cases"]} == LOSSES.keys() - {"kto_pair"}


@pytest.mark.parametrize("by", SHIFTS, ids=str)
@pytest.mark.parametrize("objective", SETTINGS, ids=named)
def test_gradients_are_those_of_small_changes(objective: Objective, by: tuple[float, float]) -> None:
    logps = shifted(by)

    def losses(chosen: Tensor, rejected: Tensor) -> Tensor:
        return pair_losses(replace(logps, policy_chosen=chosen, policy_rejected=rejected), objective)

    sides = (logps.policy_chosen, logps.policy_rejected)
    assert torch.autograd.gradcheck(losses, tuple(side.clone().requires_grad_() for side in sides))


@pytest.mark.parametrize("loss", LOSSES)
def test_only_a_coupled_loss_sees_the_other_pairs(loss: str) -> None:
    objective, logps = Objective.model_validate({"loss": loss}), shifted((4.0, 6.0))
    some = PairLogps.of(logps.table()[:4])
    same = torch.equal(pair_losses(some, objective), pair_losses(logps, objective)[:4])
    assert same is not LOSSES[loss].coupled


def test_rounding_at_the_start_does_not_decide_on_a_gradient_of_kto_pair() -> None:
    """There both means are 0, give or take a rounding, and max(0, mean) bends."""
    objective = Objective(loss="kto_pair")
    start = replace(PAIRS, policy_chosen=PAIRS.reference_chosen, policy_rejected=PAIRS.reference_rejected)
    expected = with_gradients(lambda of: pair_losses(of, objective).mean(), start)
    for by in (1e-6, -1e-6):
        moved = replace(
            start, policy_chosen=start.policy_chosen + by, policy_rejected=start.policy_rejected + by
        )
        found = with_gradients(lambda of: pair_losses(of, objective).mean(), moved)
        assert float(found[0]) == pytest.approx(float(torch.stack(terms(moved, objective)).mean()), abs=1e-12)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_pairs_come_back_from_a_table_as_they_were() -> None:
    table = PAIRS.table()
    assert table.shape == (len(PAIRS.policy_chosen), PAIR_COLUMNS)
    back = PairLogps.of(table)
    assert all(torch.equal(getattr(back, field.name), getattr(PAIRS, field.name)) for field in fields(PAIRS))


def test_every_loss_the_config_offers_is_in_the_table_and_on_the_card() -> None:
    offered = Objective.model_json_schema()["properties"]["loss"]["enum"]
    assert sorted(offered) == sorted(LOSSES) == sorted(card.LOSSES)
    assert all(loss.paper and loss.formula for loss in LOSSES.values())


START = {
    "sigmoid": math.log(2),
    "ipo": 25.0,
    "hinge": 1.0,
    "robust": math.log(2),
    "sppo_hard": 50.0,
    "nca_pair": 2 * math.log(2),
    "kto_pair": 0.5,
}


@pytest.mark.parametrize("loss", LOSSES)
def test_at_the_reference_there_is_no_margin(loss: str) -> None:
    same = replace(PAIRS, policy_chosen=PAIRS.reference_chosen, policy_rejected=PAIRS.reference_rejected)
    objective = Objective.model_validate({"loss": loss})
    losses = pair_losses(same, objective)
    metrics = dict(zip(METRICS, pair_metrics(losses, same, objective).mean(0).tolist(), strict=True))
    assert metrics["loss"] == pytest.approx(START[loss])
    assert metrics["rewards/margins"] == 0
    assert metrics["rewards/accuracies"] == 0
