"""The reference cache: by content, shared, and never half an entry."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.data.prepared.pairs import Pair
from engine.reference import MOST_SEGMENTS, ReferenceCache, cache_folder, pair_key
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


def entries(count: int, seed: int = 0) -> dict[bytes, tuple[float, float]]:
    """Random keys, and numbers that fp32 holds exactly."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(count, 2)).astype(np.float32).tolist()
    return {rng.bytes(16): (chosen, rejected) for chosen, rejected in numbers}


def written(folder: Path, values: dict[bytes, tuple[float, float]]) -> ReferenceCache:
    cache = ReferenceCache(folder)
    for key, (chosen, rejected) in values.items():
        cache.add(key, chosen, rejected)
    cache.flush()
    return cache


def loaded(folder: Path) -> ReferenceCache:
    cache = ReferenceCache(folder)
    cache.load()
    return cache


def test_entries_survive_exactly(tmp_path: Path) -> None:
    values = entries(500)
    cache = written(tmp_path, values)
    for reader in (cache, loaded(tmp_path)):
        assert reader.lookup(list(values)).tolist() == [list(pair) for pair in values.values()]
    assert cache.unwritten == 0


def test_what_is_not_known_is_no_number(tmp_path: Path) -> None:
    values = entries(20)
    written(tmp_path, values)
    some = [*list(values)[:3], *entries(3, seed=1)]
    assert np.isnan(loaded(tmp_path).lookup(some)).tolist() == [[False] * 2] * 3 + [[True] * 2] * 3
    assert ReferenceCache(tmp_path / "none").lookup([]).shape == (0, 2)


def test_a_key_that_shares_its_first_half_is_another(tmp_path: Path) -> None:
    (key,) = entries(1)
    twin = key[:8] + bytes(8)
    written(tmp_path, {key: (-1.0, -2.0)})
    assert np.isnan(loaded(tmp_path).lookup([twin])).all()


def test_a_later_value_wins_after_forgetting(tmp_path: Path) -> None:
    cache, key = ReferenceCache(tmp_path), pair_key(PAIRS[0])
    for value in (-1.0, -2.0):
        cache.forget([key])
        assert np.isnan(cache.lookup([key])).all()
        cache.add(key, value, value)
        cache.flush()
    for reader in (cache, loaded(tmp_path)):
        assert reader.lookup([key]).tolist() == [[-2.0, -2.0]]


@pytest.mark.parametrize("damage", ["cut", "other", "empty"])
def test_a_broken_segment_is_dropped_and_its_pairs_are_missing(tmp_path: Path, damage: str) -> None:
    key = pair_key(PAIRS[0])
    written(tmp_path, {key: (-1.0, -2.0)})
    (segment,) = tmp_path.glob("*.seg")
    content = segment.read_bytes()
    segment.write_bytes({"cut": content[:-5], "other": bytes(len(content)), "empty": b""}[damage])
    assert np.isnan(loaded(tmp_path).lookup([key])).all()
    assert not segment.exists()


def test_many_segments_become_one_and_nothing_is_lost(tmp_path: Path) -> None:
    values: dict[bytes, tuple[float, float]] = {}
    for part in range(MOST_SEGMENTS + 1):
        values |= entries(5, seed=part)
        written(tmp_path, entries(5, seed=part))
    key = next(iter(values))
    values[key] = (-7.0, -8.0)
    written(tmp_path, {key: values[key]})
    other = loaded(tmp_path)  # has mapped the old files, and merged them
    assert len(list(tmp_path.glob("*.seg"))) == 1
    for reader in (other, loaded(tmp_path)):
        assert reader.lookup(list(values)).tolist() == [list(pair) for pair in values.values()]


def test_two_processes_that_fill_at_once_keep_all_of_both(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.engine.test_reference import entries, written, loaded\n"
        "for part in range(30):\n"
        "    written(Path(sys.argv[1]), entries(3, seed=100 * int(sys.argv[2]) + part)); loaded(Path(sys.argv[1]))"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(n)]) for n in (1, 2)]
    assert [process.wait() for process in both] == [0, 0]
    keys = [key for n in (1, 2) for part in range(30) for key in entries(3, seed=100 * n + part)]
    known = loaded(tmp_path).lookup(keys)
    assert not np.isnan(known).any()
    assert not list(tmp_path.glob("*.part"))


def test_other_weights_and_other_numerics_have_other_folders() -> None:
    assert len({cache_folder(w, n) for w in ("a", "b") for n in ("bf16", "fp32")}) == 4
