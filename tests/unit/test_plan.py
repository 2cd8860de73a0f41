"""The plan: every pair once an epoch, packs that fit, and the same steps on any number of devices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.mix import Mix
from engine.plan import Schedule, deal, pack, pack_tokens, packs_in_order, plan_step

TOKENS = st.lists(st.integers(1, 100), min_size=1, max_size=40)


@given(TOKENS, st.integers(1, 4), st.integers(100, 400))
def test_packs_hold_every_item_once_and_fit(tokens: list[int], world: int, capacity: int) -> None:
    packs = pack(tokens, world, capacity)
    assert sorted(item for items in packs for item in items) == list(range(len(tokens)))
    assert len(packs) % world == 0
    assert all(sum(tokens[i] for i in items) <= capacity for items in packs)


@given(TOKENS, st.integers(1, 6))
def test_dealing_keeps_loads_within_a_longest_item(tokens: list[int], bins: int) -> None:
    loads = [sum(tokens[i] for i in items) for items in deal(tokens, bins)]
    assert max(loads) - min(loads) <= max(tokens)


@given(st.integers(1, 60), st.integers(1, 16), st.integers(0, 5))
def test_an_epoch_visits_every_pair_once(pairs: int, per_step: int, seed: int) -> None:
    schedule = Schedule(mix=Mix.even(pairs), pairs_per_step=per_step, seed=seed)
    seen = [int(i) for step in range(1, schedule.steps_per_epoch + 1) for i in schedule.pairs_of(step)[1]]
    assert sorted(seen) == list(range(pairs))
    assert schedule.pairs_of(schedule.steps_per_epoch)[0] == pytest.approx(1.0)


def test_epochs_differ_in_order_and_a_seed_repeats_itself() -> None:
    schedule = Schedule(mix=Mix.even(50), pairs_per_step=50, seed=1, epochs=2)
    first, second = schedule.pairs_of(1)[1], schedule.pairs_of(2)[1]
    assert not np.array_equal(first, second)
    assert np.array_equal(first, Schedule(mix=Mix.even(50), pairs_per_step=50, seed=1).pairs_of(1)[1])


@pytest.mark.parametrize(
    ("epochs", "max_steps", "steps"), [(1, None, 4), (0.5, None, 2), (2.1, None, 9), (1, 11, 11)]
)
def test_max_steps_wins_over_epochs(epochs: float, max_steps: int | None, steps: int) -> None:
    schedule = Schedule(mix=Mix.even(10), pairs_per_step=3, seed=0, epochs=epochs, max_steps=max_steps)
    assert schedule.total_steps == steps


@given(st.integers(1, 5), st.integers(1, 12))
def test_the_same_pairs_whatever_the_world_size(world: int, step: int) -> None:
    schedule = Schedule(mix=Mix.even(30), pairs_per_step=8, seed=3, max_steps=20)
    tokens = np.arange(1, 31)
    plan = plan_step(schedule, tokens, step, world, tokens_per_pack=64)
    members = [pair for rank in plan.packs for items in rank for pair in items]
    assert sorted(members) == sorted(int(i) for i in schedule.pairs_of(step)[1])
    assert len({len(rank) for rank in plan.packs}) == 1


def test_a_shared_prefix_is_counted_once_and_last_tokens_never() -> None:
    lengths = np.array([[10, 8, 4, 4, 5], [6, 6, 3, 3, 6]], dtype=np.int32)
    assert pack_tokens(lengths, share_prefix=False).tolist() == [16, 10]
    assert pack_tokens(lengths, share_prefix=True).tolist() == [11, 5]


@given(TOKENS, st.integers(100, 300))
def test_packs_in_order_keep_the_order(tokens: list[int], capacity: int) -> None:
    packs = list(packs_in_order(range(len(tokens)), np.array(tokens), capacity))
    assert [item for items in packs for item in items] == list(range(len(tokens)))
    assert all(sum(tokens[i] for i in items) <= capacity for items in packs)
