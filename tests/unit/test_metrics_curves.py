"""Curves made ready to be drawn: fewer points, the same picture; less noise, the same course."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpo_tui.metrics.decimate import decimate
from dpo_tui.metrics.smoothing import means, smooth, time_constant

_values = st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=300)


def numbered(values: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(1, len(values) + 1), np.array(values, np.float64)


@given(_values, st.integers(1, 40))
def test_each_column_keeps_its_extremes_in_their_order(values: list[float], columns: int) -> None:
    x, y = numbered(values)
    lines = decimate(x, y, columns, 1, len(y))
    assert sum(len(part) for part, _ in lines) <= 2 * columns
    finite = np.isfinite(y)
    drawn = np.concatenate([ys for _, ys in lines]) if lines else np.empty(0)
    at = np.concatenate([xs for xs, _ in lines]) if lines else np.empty(0)
    assert (np.diff(at) > 0).all()
    assert (y[at.astype(int) - 1] == drawn).all()
    if finite.any():
        assert drawn.min() == y[finite].min()
        assert drawn.max() == y[finite].max()


def test_a_line_is_cut_where_values_are_absent_and_only_there() -> None:
    x, y = numbered([1, 2, float("nan"), 4, 5, 6])
    assert [part.tolist() for part, _ in decimate(x, y, 10, 1, 6)] == [[1, 2], [4, 5, 6]]
    x, y = numbered([*range(500), float("nan"), *range(500)])
    assert len(decimate(x, y, 20, 1, len(y))) == 2


def test_a_spike_of_one_step_is_seen_among_fifty_thousand() -> None:
    x, y = numbered([0.5] * 50_000)
    y[31_234] = 9.0
    assert max(part.max() for _, part in decimate(x, y, 60, 1, 50_000)) == 9.0


def test_a_window_keeps_its_neighbours_so_that_lines_reach_the_edge() -> None:
    x, y = numbered(range(100))
    [(part, _)] = decimate(x, y, 50, 40, 50)
    assert (part[0], part[-1]) == (39, 51)


def test_nothing_is_drawn_of_nothing() -> None:
    nothing = np.empty(0)
    assert decimate(nothing, nothing, 10, 0, 1) == []
    x, y = numbered([float("nan")] * 5)
    assert decimate(x, y, 10, 1, 5) == []


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=60), st.floats(0.5, 30))
def test_smoothing_is_the_weighted_mean_it_is_defined_as(values: list[float], constant: float) -> None:
    x, y = numbered(values)
    smoothed = smooth(x * 7, y, constant)
    for row in range(len(y)):
        weights = np.exp(-(x[row] - x[: row + 1]) * 7 / constant)
        assert smoothed[row] == pytest.approx(weights @ y[: row + 1] / weights.sum(), rel=1e-6, abs=1e-6)


def test_smoothing_passes_over_absent_values() -> None:
    x, y = numbered([1.0, float("nan"), 1.0, 3.0])
    smoothed = smooth(x, y, 2.0)
    assert np.isnan(smoothed).tolist() == [False, True, False, False]
    assert smoothed[2] == pytest.approx(1)
    assert 1 < smoothed[3] < 3


def test_a_long_gap_starts_the_mean_anew() -> None:
    x, y = np.array([1, 2, 1_000_000]), np.array([5.0, 5.0, 1.0])
    assert smooth(x, y, 3.0).tolist() == pytest.approx([5, 5, 1])


@given(st.integers(1, 5))
def test_smoothing_is_the_same_whatever_log_every_is(every: int) -> None:
    steps = np.arange(1, 101) * every
    assert time_constant(steps, "strong") == pytest.approx(10 * every)
    assert time_constant(steps, "none") == 0


def test_a_long_curve_is_reduced_to_means_and_a_short_one_is_not() -> None:
    x, y = numbered(np.sin(np.arange(10_000) / 900).tolist())
    places, values = means(x, y, 200)
    assert len(places) == 200
    np.testing.assert_allclose(values, np.interp(places, x, y), atol=0.01)
    assert len(means(x[:300], y[:300], 200)[0]) == 300
