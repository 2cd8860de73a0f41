"""Finding words in logs."""

from pathlib import Path

import pytest

from dpo_tui import log_search
from dpo_tui.log_search import LogSearch


def _search(path: Path, query: str) -> LogSearch:
    search = LogSearch(path, query)
    search.advance(lambda: False)
    return search


def test_lines_are_found_whatever_their_case(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("Error one\nfine\nan ERROR\nÜBER\n.*\nerror without an end")
    assert list(_search(path, "error").lines) == [0, 2]
    assert list(_search(path, "über").lines) == [3]
    assert list(_search(path, ".*").lines) == [4]
    assert list(_search(tmp_path / "none", "x").lines) == []


def test_lines_of_all_blocks_are_found_past_giant_ones(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = [f"line {number}" for number in range(60_000)]
    lines[30_000] = "needle " + "x" * 1_000_000
    lines[59_999] = "Needle"
    path.write_text("\n".join(lines) + "\n")
    assert list(_search(path, "needle").lines) == [30_000, 59_999]


def test_a_search_goes_on_when_the_log_grows(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("hit\nhi")
    search = _search(path, "hit")
    assert list(search.lines) == [0]
    with path.open("a") as file:
        file.write("t\nmiss\nhit\n")
    search.advance(lambda: False)
    assert list(search.lines) == [0, 1, 3]


def test_next_and_previous_go_round(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("hit\nno\nhit\nno\n")
    search = _search(path, "hit")
    assert [search.after(line) for line in (0, 1, 2, 3)] == [2, 2, 0, 0]
    assert [search.before(line) for line in (0, 1, 2, 3)] == [2, 0, 0, 2]
    assert [search.rank(line) for line in (0, 1, 2)] == [1, None, 2]
    assert _search(path, "nothing").after(0) is None


def test_a_search_stops_when_told_and_when_there_is_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    path.write_text("hit\n" * 200_000)
    search = LogSearch(path, "hit")
    search.advance(lambda: True)
    assert not search.lines
    monkeypatch.setattr(log_search, "MOST_MATCHES", 1000)
    search.advance(lambda: False)
    assert search.full
    assert search.offset < path.stat().st_size
