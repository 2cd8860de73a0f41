"""Prepared pairs are shared by runs, never half, never stale; a cache that does not work is no reason to stop."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from engine.data.prepared import cache as prepared_cache
from engine.data.prepared.cache import cache_root
from engine.data.prepared.prepared_set import EVAL, RECORD, TRAIN, Prepared
from engine.exits import UnusableError
from tests.engine.preparing import Prepare, config_for, count_readings

FILES = (TRAIN, EVAL, RECORD)


def sets() -> list[Path]:
    """What lies in the cache, with what may lie there half-written."""
    return sorted(cache_root().iterdir()) if cache_root().exists() else []


def same(one: Prepared, other: Prepared) -> bool:
    """Whether two sets are the same pairs, of which some are held out, with the same report."""
    digests = [[store.digest() for store in (made.train, made.eval) if store] for made in (one, other)]
    return len(digests[0]) == 2 and digests[0] == digests[1] and one.report == other.report


def test_another_run_gets_the_set_without_a_row_being_read(
    prepare: Prepare, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = count_readings(monkeypatch)
    first, second = (prepare(config_for(file, eval_fraction=0.2), name) for name in ("one", "two"))
    assert (first.reused, second.reused) == (False, True)
    assert readings == [1]
    assert same(first, second)
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == sorted(FILES)
    assert len(sets()) == 1


def test_a_run_keeps_its_pairs_when_the_cache_is_deleted(
    prepare: Prepare, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = count_readings(monkeypatch)
    config = config_for(file, eval_fraction=0.2)
    first = prepare(config, "one")
    shared = prepare(config, "two")
    shutil.rmtree(cache_root())
    again = prepare(config, "two")
    assert again.reused
    assert same(first, shared)
    assert same(first, again)
    assert readings == [1]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_set_is_made_again_and_replaced(
    prepare: Prepare, file: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: str
) -> None:
    readings = count_readings(monkeypatch)
    config = config_for(file, eval_fraction=0.2)
    first = prepare(config, "one")
    kept = sets()[0] / name
    content = kept.read_bytes()
    kept.unlink()  # the run has a link to the same file
    if damage != "gone":
        kept.write_bytes(content[:-9] if damage == "cut" else content[:300] + b"\x01" + content[301:])
    second, third = prepare(config, "two"), prepare(config, "three")
    assert (second.reused, third.reused) == (False, True)
    assert readings == [1, 1]
    assert same(first, second)
    assert same(first, third)
    assert len(sets()) == 1


def test_a_cache_that_cannot_be_written_is_a_notice(prepare: Prepare, file: Path, tmp_path: Path) -> None:
    cache_root().parent.mkdir(parents=True, exist_ok=True)
    cache_root().write_text("a file where the folder should be")
    made = prepare(config_for(file), "one")
    assert (made.report.kept, made.reused) == (40, False)
    notice = made.report.notices[0]
    assert notice.code == "data.cache_unwritable"
    assert str(cache_root()) in notice.text
    assert notice in made.report.warnings()
    again = prepare(config_for(file), "one")
    assert again.reused
    assert again.report.notices == []


def test_a_full_disk_behind_the_cache_is_a_notice_and_leaves_nothing(
    prepare: Prepare, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepared_cache, "_link", full)
    made = prepare(config_for(file), "one")
    assert "no space left" in made.report.notices[0].text
    assert sets() == []


def test_where_the_disk_knows_no_links_the_set_is_copied(
    prepare: Prepare, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    first, second = (prepare(config_for(file, eval_fraction=0.2), name) for name in ("one", "two"))
    assert second.reused
    assert same(first, second)


def test_a_file_that_changes_while_it_is_read_is_refused_and_not_kept(
    prepare: Prepare, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow(keys: npt.NDArray[np.uint64], _fraction: float) -> npt.NDArray[np.bool_]:
        with file.open("a") as out:
            out.write("\n")
        return keys > 0

    monkeypatch.setattr("engine.data.prepare.held_out", grow)
    with pytest.raises(UnusableError, match=r"rows\.jsonl: changed while it was read"):
        prepare(config_for(file), "one")
    assert sets() == []
    assert list((tmp_path / "one").iterdir()) == []


def test_sets_nobody_asked_for_and_what_a_killed_process_left_are_removed(
    prepare: Prepare, file: Path
) -> None:
    root = cache_root()
    old, left, young = (root / name for name in ("old", ".staging-left", ".staging-young"))
    for folder in (old, left, young):
        folder.mkdir(parents=True)
        (folder / TRAIN).write_bytes(b"x")
    now = time.time()
    os.utime(old, (now, now - prepared_cache.UNUSED_SECONDS - 60))
    os.utime(left, (now, now - prepared_cache.ABANDONED_SECONDS - 60))
    prepare(config_for(file), "one")
    assert [
        folder.name for folder in sets() if folder.name in ("old", ".staging-left", ".staging-young")
    ] == [".staging-young"]
    assert len(sets()) == 2


def test_a_set_in_use_is_never_old(prepare: Prepare, file: Path) -> None:
    prepare(config_for(file), "one")
    kept = sets()[0]
    os.utime(kept, (0, 0))
    assert prepare(config_for(file), "two").reused
    prepare(config_for(file, seed=1), "three")
    assert kept in sets()
