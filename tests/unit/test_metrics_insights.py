"""What curves mean: each observation is made of the curve it is about, and none of a healthy run."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpo_tui.metrics.history import History
from dpo_tui.metrics.insights import CHECKS, insights
from dpo_tui.text import LANGUAGES, t, use

STEPS = 200
Change = Callable[[int, dict[str, float]], None]


def healthy(number: int, noise: np.random.Generator) -> dict[str, float]:
    """A run that learns, with the noise of small steps; its learning rate warms up for a tenth."""
    share = number / STEPS
    margin = 1.8 * (1 - np.exp(-3 * share))
    return {
        "loss": 0.693 - 0.3 * (1 - np.exp(-3 * share)) + noise.normal(0, 0.03),
        "rewards/margins": margin + noise.normal(0, 0.2),
        "rewards/accuracies": min(1.0, 0.55 + 0.35 * share + noise.normal(0, 0.05)),
        "logps/chosen": -182 - 2 * share + noise.normal(0, 8),
        "logps/rejected": -201 - 20 * share + noise.normal(0, 8),
        "grad_norm": float(np.exp(noise.normal(0, 0.3))),
        "learning_rate": 5e-7 * min(1.0, 10 * share),
        "tokens_per_second": 9800 + noise.normal(0, 900),
        "memory_gib": 11.2 + min(1.0, 3 * share),
    }


def nothing(step: int, values: dict[str, float]) -> None: ...


def run(change: Change = nothing, evals: list[float] | None = None, steps: int = STEPS) -> History:
    """A healthy run of which `change` spoils the values."""
    noise, history = np.random.default_rng(1), History()
    history.take([{"type": "phase", "phase": "train", "state": "start", "done": 0, "total": STEPS}])
    for step in range(1, steps + 1):
        values = healthy(step, noise)
        change(step, values)
        history.take([{"type": "step", "step": step, **values}])
    for row, loss in enumerate(evals or []):
        history.take([{"type": "eval", "step": (row + 1) * 20, "loss": loss}])
    return history


def stuck(step: int, values: dict[str, float]) -> None:
    values["loss"] = 0.6931 + 0.01 * (-1) ** step


def too_easy(step: int, values: dict[str, float]) -> None:
    values |= {"loss": 0.7 / step**2, "rewards/accuracies": 1.0}


def unlearning(step: int, values: dict[str, float]) -> None:
    values["logps/chosen"] -= 0.2 * step


def spikes(step: int, values: dict[str, float]) -> None:
    values["grad_norm"] = 30.0 if step % 31 == 0 else 1.0


def falling_margin(step: int, values: dict[str, float]) -> None:
    values["rewards/margins"] = 1.8 - abs(step - 100) / 60


def slower(step: int, values: dict[str, float]) -> None:
    values["tokens_per_second"] /= 1 if step < 170 else 3


def growing_memory(step: int, values: dict[str, float]) -> None:
    values["memory_gib"] = 10 + 0.05 * step


@pytest.mark.parametrize(
    "change", [stuck, too_easy, unlearning, spikes, falling_margin, slower, growing_memory]
)
def test_an_observation_is_made_of_the_curve_it_is_about(change: Change) -> None:
    found = [insight.code for insight in insights(run(change))]
    assert found == [change.__name__]


def test_a_rising_eval_loss_under_a_falling_train_loss_is_over_fitting() -> None:
    [insight] = insights(run(evals=[0.6, 0.52, 0.5, 0.53, 0.57, 0.61]))
    assert (insight.code, insight.params) == ("overfitting", {"best": "0.500", "step": 60, "now": "0.610"})


@pytest.mark.parametrize("steps", [0, 1, 3, 20, 60, STEPS])
def test_a_healthy_run_is_left_in_peace_from_its_first_step_on(steps: int) -> None:
    assert (
        insights(run(evals=[0.65, 0.58, 0.52, 0.521, 0.515] if steps == STEPS else None, steps=steps)) == []
    )


def test_a_loss_at_chance_during_the_warm_up_is_no_news() -> None:
    def warming(step: int, values: dict[str, float]) -> None:
        values |= {"loss": 0.6931, "learning_rate": 1e-9 * step}

    assert insights(run(warming)) == []


def test_a_single_spike_is_no_news() -> None:
    def once(step: int, values: dict[str, float]) -> None:
        values["grad_norm"] = 50.0 if step == 180 else 1.0

    assert insights(run(once)) == []


def test_gradients_that_fall_with_the_loss_and_then_flicker_around_nothing_are_no_spikes() -> None:
    def converged(step: int, values: dict[str, float]) -> None:
        values["loss"] = 0.69 * 0.9**step
        values["grad_norm"] = 40 * 0.9**step * (30 if step % 31 == 0 and step > 60 else 1)

    assert "spikes" not in [insight.code for insight in insights(run(converged))]


def test_margins_that_shrink_with_the_chosen_logps_are_no_unlearning() -> None:
    def both(step: int, values: dict[str, float]) -> None:
        values["logps/chosen"] -= 0.2 * step
        values["rewards/margins"] = 0.0

    assert "unlearning" not in [insight.code for insight in insights(run(both))]


@pytest.mark.parametrize("spoken", LANGUAGES)
def test_every_observation_is_a_sentence_with_advice(spoken: Any) -> None:
    use(spoken)
    try:
        for change in (stuck, too_easy, unlearning, spikes, falling_margin, slower, growing_memory):
            [insight] = insights(run(change))
            assert "{" not in insight.text + insight.advice
        assert all(t(f"insight.{check.__name__}.advice") for check in CHECKS)
    finally:
        use("en")


_names = st.sampled_from(list(healthy(1, np.random.default_rng(0))))
_rows = st.dictionaries(
    _names, st.none() | st.floats(allow_nan=True) | st.sampled_from([0.0, 1.0, 1e99, -1e99])
)


@given(
    st.lists(_rows, max_size=80),
    st.lists(st.none() | st.floats(), max_size=6),
    st.none() | st.integers(0, 90),
)
def test_no_curve_breaks_it(
    rows: list[dict[str, float | None]], evals: list[float | None], total: int | None
) -> None:
    history = History()
    history.take([{"type": "phase", "phase": "train", "state": "start", "total": total}])
    history.take([{"type": "step", "step": step, **values} for step, values in enumerate(rows)])
    history.take([{"type": "eval", "step": step, "loss": loss} for step, loss in enumerate(evals)])
    assert all(insight.text and insight.advice for insight in insights(history))
