"""Logs as numbered lines: any size, any bytes, growing, cut and replaced, and never more than a little in memory."""

import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpo_tui.log_file import CHUNK, LogFile, shown_line


def _all(log: LogFile) -> list[str]:
    return [log.line(number) for number in range(len(log))]


def _read(log: LogFile) -> list[str]:
    while log.poll() and log.behind:
        pass
    return _all(log)


def test_a_missing_log_has_no_lines_and_appears_later(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "train.log")
    assert not log.poll()
    assert len(log) == 0
    (tmp_path / "train.log").write_text("one\ntwo")
    assert log.poll()
    assert _all(log) == ["one", "two"]
    assert not log.poll()


def test_a_line_without_its_newline_is_shown_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text("loading")
    log = LogFile(path)
    assert _read(log) == ["loading"]
    with path.open("a") as file:
        file.write(" weights\nnext\n")
    assert _read(log) == ["loading weights", "next"]


@pytest.mark.parametrize("ending", ["", "\n"])
def test_every_line_of_many_chunks_is_found(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "train.log"
    lines = [f"{number} {'x' * (number % 97)}" for number in range(20_000)]
    path.write_text("\n".join(lines) + ending)
    log = LogFile(path)
    assert _read(log) == lines
    assert [log.line(number) for number in reversed(range(0, 20_000, 777))] == lines[::777][::-1]


@given(
    st.lists(
        st.lists(
            st.sampled_from(
                ["\n", "a\n", "\n\n", "half", "x" * 70_000, "y" * 300_000 + "\n", "z" * 9 + "\n"]
            ),
            max_size=4,
        ),
        max_size=5,
    )
)
def test_lines_read_while_they_are_written_are_those_of_the_whole_file(
    tmp_path_factory: pytest.TempPathFactory, writes: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("log") / "train.log"
    log = LogFile(path)
    for pieces in writes:
        with path.open("a") as file:
            file.write("".join(pieces))
        _read(log)
        if len(log):
            log.line(len(log) - 1)
    whole = path.read_text() if path.exists() else ""
    expected = whole.split("\n") if not whole.endswith("\n") else whole.split("\n")[:-1]
    assert [line[:100] for line in _all(log)] == [line[:100] for line in (expected if whole else [])]


@pytest.mark.parametrize("new", ["", "short\n", "completely other words, and more than there was before\n"])
def test_a_log_cut_and_written_anew_is_read_anew(tmp_path: Path, new: str) -> None:
    path = tmp_path / "train.log"
    path.write_text("old one\nold two\n")
    log = LogFile(path)
    _read(log)
    path.write_text(new)
    assert _read(log) == new.splitlines()
    assert log.generation == 1


def test_a_log_replaced_by_another_of_the_same_size_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text("old\n")
    log = LogFile(path)
    _read(log)
    (tmp_path / "new").write_text("new\n")
    os.replace(tmp_path / "new", path)
    assert _read(log) == ["new"]
    path.unlink()
    assert _read(log) == []


def test_a_bar_shows_its_last_state(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_bytes(b"start\r\n 10%\r 20%\r 30%\r\n 40%\r 50%\r")
    assert _read(LogFile(path)) == ["start", " 30%", " 50%"]


def test_nothing_in_a_line_steers_the_terminal() -> None:
    assert (
        shown_line(b"\x1b[31mred\x1b[0m \x1b]52;c;x\x07 \xff\xfe") == r"red \x1b]52;c;x\x07 " + "\ufffd" * 2
    )
    assert shown_line(b"a\tb") == "a   b"
    assert "\x9b" not in shown_line("\x9b31m".encode())


def test_a_directory_or_a_pipe_in_the_place_of_a_log_is_empty(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        log = LogFile(path)
        log.poll()
        assert (len(log), log.behind) == (0, 0)
        log.close()


def test_a_giant_line_is_cut_and_its_neighbours_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_bytes(b"before\n" + b"x" * (40 * CHUNK) + b"\rlast state\nafter\nand more\n")
    log = LogFile(path)
    assert _read(log) == ["before", "last state", "after", "and more"]


def test_a_million_lines_cost_no_more_memory_than_a_few(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    line = (
        b"2026-01-01 12:00:00 INFO a line of some hundred characters, as a training writes them " + b"." * 30
    )
    path.write_bytes((line + b"\n") * 300_000)
    log = LogFile(path)
    tracemalloc.start()
    try:
        while log.poll() and log.behind:
            pass
        assert log.line(299_999) == line.decode()
        assert log.line(0) == line.decode()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
    assert len(log) == 300_000
