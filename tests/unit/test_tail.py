"""Following a file of events while it is written."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rundir.events import read_events
from engine.rundir.tail import MAX_LINE, Tail

_events = st.fixed_dictionaries({"type": st.sampled_from(["step", "phase"]), "text": st.text(max_size=20)})
_lines = st.one_of(
    _events.map(lambda event: json.dumps(event, ensure_ascii=False).encode(errors="backslashreplace")),
    st.binary(max_size=30).map(lambda raw: raw.replace(b"\n", b"")),
    st.sampled_from([b"", b"[]", b"{}", b'{"type": 3}', b"null", b'{"type": "step"', b"[" * 5000]),
)


def _whole(data: bytes) -> list[dict[str, Any]]:
    found = []
    for line in data.split(b"\n")[:-1]:
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and isinstance(event.get("type"), str):
            found.append(event)
    return found


@settings(max_examples=100, deadline=None)
@given(
    lines=st.lists(_lines, max_size=12),
    torn=st.booleans(),
    cuts=st.lists(st.integers(1, 60)),
    limit=st.integers(1, 100),
)
def test_reading_piece_by_piece_gives_what_reading_the_whole_file_gives(
    tmp_path_factory: Any, lines: list[bytes], torn: bool, cuts: list[int], limit: int
) -> None:
    path = tmp_path_factory.mktemp("tail") / "events.jsonl"
    data = b"\n".join(lines) + (b'{"type": "st' if torn else b"\n")
    tail, seen, written = Tail(path), [], 0
    with path.open("wb", buffering=0) as file:
        for size in [*cuts, len(data)]:
            file.write(data[written : written + size])
            written += size
            while batch := tail.read(limit):
                seen += batch
    assert seen == _whole(data)
    assert list(read_events(path)) == seen
    assert tail.restarts == 0


def test_a_missing_file_has_no_events(tmp_path: Path) -> None:
    assert Tail(tmp_path / "none").read() == []


def test_an_unfinished_line_is_read_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"type": "a"}\n{"type":')
    tail = Tail(path)
    assert tail.read() == [{"type": "a"}]
    assert tail.read() == []
    with path.open("a") as file:
        file.write(' "b"}\n')
    assert tail.read() == [{"type": "b"}]


def test_a_cut_torn_line_leaves_no_gap(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"type": "a"}\n{"type": "torn, and rather long')
    tail = Tail(path)
    tail.read()
    path.write_text('{"type": "a"}\n{"type": "b"}\n')
    assert tail.read() == [{"type": "b"}]
    assert tail.restarts == 0


def test_a_file_that_shrank_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"type": "old"}\n{"type": "older"}\n')
    tail = Tail(path)
    tail.read()
    path.write_text('{"type": "new"}\n')
    assert tail.read() == [{"type": "new"}]
    assert tail.restarts == 1


def test_a_line_without_end_is_passed_over_and_the_next_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"x" * (2 * MAX_LINE + 5))
    tail = Tail(path)
    assert tail.read() == []
    with path.open("ab") as file:
        file.write(b'\n{"type": "a"}\n')
    assert tail.read() == [{"type": "a"}]
