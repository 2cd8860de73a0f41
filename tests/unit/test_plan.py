"""The plan: every pair once an epoch, packs that fit, and the same steps on any number of devices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.mix import Mix
from engine.packing import measure
from engine.plan import (
    Schedule,
    attention_share,
    deal,
    pack,
    pack_tokens,
    packs_in_order,
    plan_step,
    visible_keys,
)

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


def test_keys_are_counted_as_attention_sees_them() -> None:
    """The trunk's 4 rows see 1 + 2 + 3 + 4 keys, the branch's one row the 2 that are shared and itself."""
    lengths = np.array([[5, 4, 3, 3, 2]], dtype=np.int32)
    assert visible_keys(lengths, share_prefix=True).tolist() == [10 + 3]
    assert visible_keys(lengths, share_prefix=False).tolist() == [10 + 6]


def test_a_key_s_cost_is_attention_s_share_of_a_model() -> None:
    """SmolLM2-135M: at 1,000 visible keys a token's attention costs a third of the rest."""
    assert attention_share(layers=30, heads=9, head_dim=64, weights=106_203_456) == pytest.approx(
        3.25e-4, rel=1e-2
    )


@given(st.lists(st.integers(1, 2000), min_size=4, max_size=40), st.integers(2, 4))
def test_costs_even_out_the_ranks_whatever_the_tokens(lengths: list[int], world: int) -> None:
    tokens = [100] * len(lengths)
    costs = [100 + 0.1 * n for n in lengths]
    dealt = pack(tokens, world, 100 * len(lengths), costs)
    loads = [sum(costs[i] for i in items) for items in dealt]
    assert max(loads) - min(loads) <= max(costs)


def test_what_packs_are_like_is_measured_on_the_plan() -> None:
    lengths = np.array([[10, 8, 4, 4, 5], [6, 6, 3, 3, 6], [10, 8, 4, 4, 5]], dtype=np.int32)
    tokens, alone = pack_tokens(lengths, share_prefix=True), pack_tokens(lengths, share_prefix=False)
    schedule = Schedule(mix=Mix.even(3), pairs_per_step=3, seed=0)
    costs = tokens.astype(float)
    packing = measure([plan_step(schedule, tokens, 1, 1, 16, costs)], tokens, alone, costs)
    assert (packing.packs_per_step, packing.tokens_per_pack) == (2, 27 / 2)
    assert packing.sharing == (16 + 10 + 16) / (11 + 5 + 11)
    two_ranks = measure([plan_step(schedule, tokens, 1, 2, 16, costs)], tokens, alone, costs)
    assert two_ranks.imbalance == pytest.approx(16 / 13.5)


@given(TOKENS, st.integers(100, 300))
def test_packs_in_order_keep_the_order(tokens: list[int], capacity: int) -> None:
    packs = list(packs_in_order(range(len(tokens)), np.array(tokens), capacity))
    assert [item for items in packs for item in items] == list(range(len(tokens)))
    assert all(sum(tokens[i] for i in items) <= capacity for items in packs)
