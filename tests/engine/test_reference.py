"""The reference cache: by content, shared, and never half an entry."""

from pathlib import Path

import numpy as np

from engine.data.prepared.pairs import Pair
from engine.reference import ReferenceCache, cache_folder, pair_key
from tests.tiny import random_pairs

PAIRS = random_pairs(6)


def test_key_is_the_content(tmp_path: Path) -> None:
    pair = PAIRS[0]
    copy = Pair(
        pair.chosen.astype(np.int64).astype(np.int32),
        pair.rejected.copy(),
        pair.chosen_start,
        pair.rejected_start,
    )
    assert pair_key(pair) == pair_key(copy)
    moved = Pair(pair.chosen, pair.rejected, pair.chosen_start + 1, pair.rejected_start)
    swapped = Pair(pair.rejected, pair.chosen, pair.rejected_start, pair.chosen_start)
    assert len({pair_key(p) for p in (*PAIRS, moved, swapped)}) == len(PAIRS) + 2


def test_entries_survive_exactly(tmp_path: Path) -> None:
    cache = ReferenceCache(tmp_path)
    values = {
        pair_key(pair): (float(np.float32(-1 / (i + 3))), float(np.float32(-i / 7)))
        for i, pair in enumerate(PAIRS)
    }
    for key, (chosen, rejected) in values.items():
        cache.add(key, chosen, rejected)
    cache.flush()
    again = ReferenceCache(tmp_path)
    again.load()
    assert again.entries == values
    assert again.missing(list(values)) == []


def test_a_later_value_wins_after_forgetting(tmp_path: Path) -> None:
    cache, key = ReferenceCache(tmp_path), pair_key(PAIRS[0])
    for value in (-1.0, -2.0):
        cache.forget([key])
        cache.add(key, value, value)
        cache.flush()
    again = ReferenceCache(tmp_path)
    again.load()
    assert again.entries[key] == (-2.0, -2.0)


def test_a_broken_segment_is_dropped_and_its_pairs_are_missing(tmp_path: Path) -> None:
    cache, key = ReferenceCache(tmp_path), pair_key(PAIRS[0])
    cache.add(key, -1.0, -2.0)
    cache.flush()
    (segment,) = tmp_path.glob("*.npy")
    segment.write_bytes(segment.read_bytes()[:-5])
    again = ReferenceCache(tmp_path)
    again.load()
    assert again.missing([key]) == [0]
    assert not segment.exists()


def test_other_weights_and_other_numerics_have_other_folders() -> None:
    assert len({cache_folder(w, n) for w in ("a", "b") for n in ("bf16", "fp32")}) == 4
