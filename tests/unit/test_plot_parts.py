"""The parts of a plot: ticks, what is seen of it, and dots of braille."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpo_tui.widgets.axes import SMALLEST_SPAN, Viewport, labels, ticks
from dpo_tui.widgets.braille import Pattern, Raster


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e9), st.integers(2, 10))
def test_ticks_lie_within_the_range_and_are_few(low: float, span: float, most: int) -> None:
    high = low + span
    places = ticks(low, high, most)
    assert len(places) <= most + 2
    assert all(low - span * 1e-6 <= place <= high + span * 1e-6 for place in places)


@pytest.mark.parametrize(
    ("low", "high", "most", "said"),
    [
        (0.21, 0.72, 4, ["0.4", "0.6"]),
        (-2.1, 0.9, 3, ["-2", "-1", "0"]),
        (1, 600, 5, ["200", "400", "600"]),
        (1, 50_000, 5, ["10k", "20k", "30k", "40k", "50k"]),
        (0, 5e-7, 3, ["0", "2e-7", "4e-7"]),
        (11.2, 11.8, 3, ["11.2", "11.4", "11.6", "11.8"]),
        (0, 0, 4, []),
    ],
)
def test_ticks_say_round_numbers_that_differ(low: float, high: float, most: int, said: list[str]) -> None:
    found = labels(ticks(low, high, most))
    assert len(set(found)) == len(found)
    assert found == said


def test_steps_are_whole() -> None:
    assert ticks(1, 3, 8, whole=True) == [1, 2, 3]


def test_zooming_at_the_newest_step_goes_on_following_it() -> None:
    viewport = Viewport()
    viewport.zoom(0.5, 0, 100)
    assert viewport.window(0, 100) == (50, 100)
    assert viewport.window(0, 140) == (90, 140)


def test_a_view_that_was_moved_away_stands_still_until_it_is_back() -> None:
    viewport = Viewport()
    viewport.zoom(0.5, 0, 100)
    viewport.pan(-0.5, 0, 100)
    assert viewport.window(0, 100) == (25, 75)
    assert viewport.window(0, 140) == (25, 75)
    viewport.pan(9, 0, 140)
    assert viewport.window(0, 150) == (100, 150)


def test_the_step_under_the_pointer_stays_there() -> None:
    viewport = Viewport()
    viewport.zoom(0.5, 0, 100, at=0.3)
    low, high = viewport.window(0, 100)
    assert low + 0.3 * (high - low) == pytest.approx(30)


@given(
    st.lists(
        st.tuples(st.sampled_from(["zoom", "pan"]), st.floats(0.1, 10) | st.floats(-3, -0.1), st.floats(0, 1))
    )
)
def test_the_view_never_leaves_the_run(moves: list[tuple[str, float, float]]) -> None:
    viewport = Viewport()
    for move, amount, at in moves:
        if move == "zoom":
            viewport.zoom(abs(amount), 1, 100, at=at)
        else:
            viewport.pan(amount, 1, 100)
        low, high = viewport.window(1, 100)
        assert 1 - 1e-6 <= low < high <= 100 + 1e-6
        assert high - low >= SMALLEST_SPAN - 1e-6


def text(raster: Raster, rows: int) -> list[str]:
    return ["".join(part for part, _ in raster.row(row)) for row in range(rows)]


def test_a_line_fills_the_cells_it_crosses() -> None:
    raster = Raster(3, 1)
    raster.draw(np.array([0.0, 5.0]), np.array([0.0, 0.0]), "solid", 0)
    assert text(raster, 1) == ["⠉⠉⠉"]
    assert raster.row(0) == [("⠉⠉⠉", 0)]


def test_what_is_drawn_last_takes_its_cells_and_leaves_the_others() -> None:
    raster = Raster(3, 1)
    raster.draw(np.array([0.0, 5.0]), np.array([0.0, 0.0]), "solid", 0)
    raster.draw(np.array([2.0, 3.0]), np.array([3.0, 3.0]), "solid", 1)
    assert raster.row(0) == [("⠉", 0), ("⣀", 1), ("⠉", 0)]


def test_patterns_differ_without_colour() -> None:
    drawn = set()
    patterns: list[Pattern] = ["solid", "dashed", "dotted", "dots"]
    for pattern in patterns:
        raster = Raster(12, 1)
        raster.draw(np.array([0.0, 23.0]), np.array([1.0, 1.0]), pattern, 0)
        drawn.add(text(raster, 1)[0])
    assert len(drawn) == 4


@given(st.lists(st.tuples(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12)), min_size=1, max_size=20))
def test_any_points_are_drawn_within_the_grid(points: list[tuple[float, float]]) -> None:
    raster = Raster(8, 3)
    x, y = np.array(sorted(points)).T
    raster.draw(x, y, "solid", 0)
    assert [len(line) for line in text(raster, 3)] == [8, 8, 8]
