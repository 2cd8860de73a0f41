"""The mix: weights say how often an epoch visits the pairs of a source, and no pair is favoured within one."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.exits import UnusableError
from engine.mix import Mix, require_step, source_names
from engine.plan import Schedule

WEIGHTS = st.lists(st.floats(0.05, 4), min_size=1, max_size=4)


def mix_of(sizes: list[int], weights: list[float]) -> Mix:
    return Mix(np.repeat(np.arange(len(sizes), dtype=np.int32), sizes), weights)


@given(st.data(), WEIGHTS, st.integers(0, 3), st.integers(0, 5))
def test_an_epoch_visits_each_source_as_often_as_its_weight_says(
    data: st.DataObject, weights: list[float], seed: int, epoch: int
) -> None:
    sizes = data.draw(st.lists(st.integers(1, 30), min_size=len(weights), max_size=len(weights)))
    mix = mix_of(sizes, weights)
    order = mix.order(seed, epoch)
    assert len(order) == mix.visits
    for number, (size, weight) in enumerate(zip(sizes, weights, strict=True)):
        assert int((mix.sources[order] == number).sum()) == max(1, round(size * weight))


@given(WEIGHTS, st.integers(1, 6))
def test_no_pair_of_a_source_is_visited_twice_as_long_as_another_waits(
    weights: list[float], epochs: int
) -> None:
    sizes = [7 + 3 * number for number in range(len(weights))]
    mix = mix_of(sizes, weights)
    visits = Counter(int(i) for epoch in range(epochs) for i in mix.order(5, epoch))
    for number in range(len(sizes)):
        counts = [visits[i] for i in np.flatnonzero(mix.sources == number).tolist()]
        assert max(counts) - min(counts) <= 1


def test_weights_of_one_give_the_order_a_single_source_has() -> None:
    apart, joined = mix_of([12, 8], [1.0, 1.0]), Mix.even(20)
    assert all(np.array_equal(apart.order(3, epoch), joined.order(3, epoch)) for epoch in range(3))


def test_half_a_source_is_another_half_in_the_next_epoch() -> None:
    mix = mix_of([10], [0.5])
    first, second = set(mix.order(0, 0).tolist()), set(mix.order(0, 1).tolist())
    assert len(first) == len(second) == 5
    assert first | second == set(range(10))


def test_a_source_without_pairs_left_takes_no_part() -> None:
    mix = Mix(np.full(6, 1, dtype=np.int32), [3.0, 1.0])
    assert sorted(mix.order(0, 0).tolist()) == list(range(6))


def test_steps_are_counted_over_the_visits_of_the_mix() -> None:
    schedule = Schedule(mix=mix_of([10, 10], [2.0, 0.5]), pairs_per_step=5, seed=0)
    assert schedule.steps_per_epoch == 5
    assert schedule.pairs_of(5)[0] == pytest.approx(1.0)


def test_weights_that_leave_less_than_a_step_are_refused() -> None:
    mix = mix_of([10], [0.5])
    require_step(mix, 5)
    with pytest.raises(UnusableError, match="visits 5 of the 10 pairs, and one step takes 6"):
        require_step(mix, 6)


def test_names_are_short_and_told_apart() -> None:
    assert source_names(["a/pairs.jsonl", "b/pairs.jsonl", "you/set", "pairs.jsonl"]) == [
        "pairs.jsonl",
        "pairs.jsonl (2)",
        "set",
        "pairs.jsonl (3)",
    ]
