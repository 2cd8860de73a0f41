"""The eval split: whole prompts, about as many pairs as asked for, never all, the same every time."""

from functools import partial

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.data.prepared.split import held_out, prompt_key


@given(st.lists(st.integers(0, 40), max_size=200), st.floats(0, 0.99))
def test_prompts_stay_whole_and_some_are_left_to_train_on(prompts: list[int], fraction: float) -> None:
    keys = np.array(prompts, dtype=np.uint64)
    mask = held_out(keys, fraction)
    assert mask.shape == keys.shape
    assert not set(keys[mask].tolist()) & set(keys[~mask].tolist())
    if len(keys):
        assert not mask.all()
    if fraction > 0 and len(keys) >= 20 and len(set(prompts)) > 1:
        assert mask.any()


@given(st.integers(20, 400), st.floats(0.01, 0.9))
def test_with_different_prompts_the_share_is_exact(count: int, fraction: float) -> None:
    mask = held_out(np.arange(count, dtype=np.uint64), fraction)
    assert int(mask.sum()) == min(max(1, round(fraction * count)), count - 1)


def test_few_pairs_are_only_held_out_when_the_share_makes_one() -> None:
    keys = np.arange(10, dtype=np.uint64)
    assert held_out(keys, 0.01).sum() == 0
    assert held_out(keys, 0.2).sum() == 2
    assert held_out(keys, 0.0).sum() == 0


def test_another_seed_orders_the_prompts_otherwise() -> None:
    prompts = [b"prompt %d" % number for number in range(30)]
    orders = [sorted(prompts, key=partial(prompt_key, seed=seed)) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
