"""JSON as people have it: rows in lines, in an array, or in an array within an object; what is lost is told."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.files import json_files, text_files
from engine.data.files.sources import file_rows
from engine.exits import UnusableError

ROWS = [{"a": "x]}", "b": [{"c": 1}]}, {"a": '"', "b": []}, {"a": "\u00e9", "b": None}]
NAMES = st.text("ab", max_size=2)
SCALARS = st.none() | st.booleans() | st.integers() | st.text('"\\\n]}a', max_size=4)


def read(path: Path) -> list[dict[str, Any]]:
    return [row.fields for row in file_rows(path)]


def problem(path: Path, content: str) -> str:
    """What is said of a file, without its name."""
    path.write_text(content)
    with pytest.raises(UnusableError) as caught:
        read(path)
    return caught.value.text.removeprefix(str(path))


@pytest.mark.parametrize(
    "document",
    [
        {"data": ROWS},
        {"version": 1.5, "note": 'a "b"', "data": ROWS, "more": {"n": [1]}, "tags": ["x"]},
        {"data": ROWS, "none": [], "numbers": [1, 2]},
    ],
)
@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("packed", [False, True])
def test_an_object_with_one_array_of_rows_gives_these(
    tmp_path: Path, document: dict[str, Any], indent: int | None, packed: bool
) -> None:
    path = tmp_path / ("a.json.gz" if packed else "a.json")
    content = json.dumps(document, indent=indent).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    assert read(path) == ROWS


@settings(max_examples=60)
@given(
    before=st.dictionaries(NAMES, SCALARS, max_size=3),
    after=st.dictionaries(NAMES, SCALARS, max_size=3),
    chunk=st.integers(1, 40),
)
def test_wherever_the_file_is_cut_for_reading(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, Any], after: dict[str, Any], chunk: int
) -> None:
    document = {**before, "rows": ROWS, **{f"{name}.": value for name, value in after.items()}}
    path = tmp_path_factory.getbasetemp() / "a.json"
    path.write_text(json.dumps(document, indent=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_files, "CHUNK", chunk)
        assert list(json_files.json_array(path)) == list(enumerate(ROWS, 1))


def test_one_line_that_is_a_row_with_messages_is_a_row(tmp_path: Path) -> None:
    """An object with two arrays of objects is no wrapper, and a JSON Lines file may be called .json."""
    row = {"chosen": [{"role": "user"}], "rejected": [{"role": "user"}]}
    (tmp_path / "a.json").write_text(json.dumps(row) + "\n")
    assert read(tmp_path / "a.json") == [row]
    (tmp_path / "a.json").write_text(f"{json.dumps(row)}\n{json.dumps(row)}\n")
    assert read(tmp_path / "a.json") == [row, row]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": 1, "b": 2, "a": 3}\n', ':2: not usable JSON: the key "a" stands twice'),
        ("a.jsonl", '{"a": [{"b": {"c": 1, "c": 1}}]}\n', ':1: not usable JSON: the key "c" stands twice'),
        ("a.json", '[{"a": 1},\n{"a": 1, "a": 3}]', ':2: not usable JSON: the key "a" stands twice in an object.'),
        ("a.jsonl", '{"a": "b\n', ":1: not valid JSON: Unterminated string starting at column 7."),
        ("a.jsonl", '{"a": "b\r\n', ":1: not valid JSON: Unterminated string starting at column 7."),
        ("a.jsonl", '{"a": "\tb"}\n', ":1: not valid JSON: Invalid control character at column 8."),
        ("a.jsonl", '{"a": 1\n', ":1: not valid JSON: Expecting ',' delimiter (column 8)."),
        ("a.json", '{"data": [{"a": 1}], "more": [{"a": 2}]', ":1: not valid JSON"),
        ("a.json", '{"data": [\n{"a": 1}],\n"more": [{"a": 2}]}', ":3: the object holds several arrays of objects"),
        ("a.json", '{"data": [\n{"a": 1}]\n', ":3: the object has no end"),
        ("a.json", '{"data": [\n{"a": 1}]}\n[]', ":3: text after the end of the object"),
        ("a.json", '{"data": [\n{"a": 1}], 7: 1}', ":2: expected a key and :"),
        ("a.json", '{"data": [\n{"a": 1}], "b" 1}', ":2: expected a key and :"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, name: str, content: str, told: str) -> None:
    assert problem(tmp_path / name, content).startswith(told)


def test_a_row_without_end_is_refused_before_the_memory_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "MAX_ROW", 1000)
    monkeypatch.setattr(json_files, "CHUNK", 256)
    assert ":1: not valid JSON" in problem(tmp_path / "a.json", '[{"a": "' + "x" * 5000)
