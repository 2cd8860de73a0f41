"""Pairs on disk: what is written is what is read, and a file is whole or not there."""

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.prepared import pairs as pairs_module
from engine.data.prepared.pairs import IntArray, Pair, PairStore, PairWriter, common_prefix
from engine.exits import CannotWriteError, UnusableError

IDS = st.lists(st.integers(0, 3), min_size=2, max_size=12).map(lambda ids: np.array(ids, dtype=np.int32))


@st.composite
def random_pairs(draw: st.DrawFn) -> Pair:
    chosen, rejected = draw(IDS), draw(IDS)
    return Pair(
        chosen, rejected, draw(st.integers(1, len(chosen) - 1)), draw(st.integers(1, len(rejected) - 1))
    )


def ids(*numbers: int) -> IntArray:
    return np.array(numbers, dtype=np.int32)


def write(path: Path, pairs: list[Pair]) -> PairStore:
    with PairWriter(path) as writer:
        for number, pair in enumerate(pairs):
            writer.add(pair, source=1, row=number + 7)
    return PairStore.open(path)


def plain(pair: Pair) -> tuple[list[int], list[int], int, int]:
    return pair.chosen.tolist(), pair.rejected.tolist(), pair.chosen_start, pair.rejected_start


def naive_shared(pair: Pair) -> int:
    same = 0
    for left, right in zip(pair.chosen, pair.rejected, strict=False):
        if left != right:
            break
        same += 1
    return same


@given(st.lists(random_pairs(), max_size=30), st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back_whatever_the_batches(pairs: list[Pair], batch: int) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs_module, "BATCH_PAIRS", batch)
        store = write(Path(folder) / "a.arrow", pairs)
        assert [plain(store[index]) for index in range(len(store))] == [plain(pair) for pair in pairs]
        expected = [
            [len(p.chosen), len(p.rejected), p.chosen_start, p.rejected_start, naive_shared(p)] for p in pairs
        ]
        assert store.lengths().tolist() == expected
        assert [store.origin(index) for index in range(len(store))] == [(1, n + 7) for n in range(len(pairs))]
        patch.setattr(pairs_module, "BATCH_PAIRS", 1000)
        assert write(Path(folder) / "b.arrow", pairs).digest() == store.digest()


def test_the_digest_tells_tokens_and_boundaries_apart(tmp_path: Path) -> None:
    base = [Pair(ids(1, 2, 3), ids(1, 4), 1, 1), Pair(ids(1, 5), ids(1, 6), 1, 1)]
    others = [
        [Pair(ids(1, 2, 9), ids(1, 4), 1, 1), base[1]],
        [Pair(ids(1, 2, 3), ids(1, 4), 2, 1), base[1]],
        [Pair(ids(1, 2), ids(1, 4), 1, 1), Pair(ids(3, 1, 5), ids(1, 6), 1, 1)],  # same tokens, other lengths
        base[:1],
        base[::-1],
    ]
    digests = [
        write(tmp_path / f"{number}.arrow", pairs).digest() for number, pairs in enumerate([base, *others])
    ]
    assert len(set(digests)) == len(digests)


def test_an_empty_store_has_no_pairs_and_a_digest(tmp_path: Path) -> None:
    store = write(tmp_path / "a.arrow", [])
    assert len(store) == 0
    assert store.lengths().shape == (0, 5)
    assert len(store.digest()) == 64
    with pytest.raises(IndexError):
        store[0]


def test_pairs_are_views_that_cannot_be_written_to(tmp_path: Path) -> None:
    store = write(tmp_path / "a.arrow", [Pair(ids(1, 2), ids(1, 3), 1, 1)])
    with pytest.raises(ValueError, match="read-only"):
        store[0].chosen[0] = 9


def test_an_interrupted_writer_leaves_nothing_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    write(path, [Pair(ids(1, 2), ids(1, 3), 1, 1)])
    before = path.read_bytes()
    unfinished = Pair(ids(4, 5), None, 1, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError), PairWriter(path) as writer:
        writer.add(unfinished)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWriteError, match="no space"), PairWriter(tmp_path / "a.arrow") as writer:
        writer.add(Pair(ids(4, 5), ids(4, 6), 1, 1))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"ARROW1\0\0garbage", b"{}"])
def test_a_file_that_holds_no_pairs_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.arrow"
    path.write_bytes(content)
    with pytest.raises(UnusableError, match=r"a\.arrow"):
        PairStore.open(path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    write(path, [Pair(ids(*range(50)), ids(*range(60)), 1, 1)] * 20)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnusableError):
        PairStore.open(path)


@given(IDS, IDS)
def test_the_common_prefix_is_the_longest(left: IntArray, right: IntArray) -> None:
    size = common_prefix(left, right)
    assert left[:size].tolist() == right[:size].tolist()
    assert size in (len(left), len(right)) or left[size] != right[size]
