"""Reading rows: every kind of file, and every kind of broken file with its place."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.schema import Source
from engine.data.files import json_files, text_files
from engine.data.files import sources as sources_module
from engine.data.files.sources import fingerprint, open_source, read_rows
from engine.exits import UnusableError, UsageError

ROWS = [{"prompt": f"p{n}", "chosen": f"c{n} \u00e9\n", "rejected": f'r"{n},'} for n in range(5)]


def source(path: Path | str, kind: str = "local", **more: Any) -> Source:
    return Source.model_validate({"source": kind, "path": str(path), **more})


def fields(path: Path, **more: Any) -> list[dict[str, Any]]:
    return [row.fields for row in read_rows(source(path, **more))]


def places(path: Path) -> list[str]:
    return [row.where for row in read_rows(source(path))]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def csv_bytes(rows: list[dict[str, Any]]) -> bytes:
    quoted = [['"' + str(value).replace('"', '""') + '"' for value in row.values()] for row in rows]
    return "\n".join([",".join(rows[0]), *map(",".join, quoted)]).encode()


def write_stream(path: Path, rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def write_ipc(path: Path, rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.jsonl": lambda path: path.write_bytes(lines(ROWS)),
    "a.json": lambda path: path.write_text(json.dumps(ROWS, indent=1)),
    "lines.json": lambda path: path.write_bytes(lines(ROWS)),
    "a.jsonl.gz": lambda path: path.write_bytes(gzip.compress(lines(ROWS))),
    "a.json.gz": lambda path: path.write_bytes(gzip.compress(json.dumps(ROWS).encode())),
    "a.csv": lambda path: path.write_bytes(csv_bytes(ROWS)),
    "a.csv.gz": lambda path: path.write_bytes(gzip.compress(csv_bytes(ROWS))),
    "a.parquet": lambda path: pq.write_table(pa.Table.from_pylist(ROWS), path, row_group_size=2),
    "file.arrow": lambda path: write_ipc(path, ROWS),
    "stream.arrow": lambda path: write_stream(path, ROWS),
    "saved": lambda path: Dataset.from_list(ROWS).save_to_disk(path, num_shards=2),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    assert fields(tmp_path / name) == ROWS
    assert fields(tmp_path / name, limit=3) == ROWS[:3]


def test_rows_know_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(ROWS[:1]) + b"\n  \r\n" + lines(ROWS[1:2]).replace(b"\n", b"\r\n"))
    assert places(path) == [f"{path}:1", f"{path}:4"]
    table = tmp_path / "a.csv"
    table.write_bytes(csv_bytes(ROWS[:3]))
    assert places(table) == [f"{table}:2", f"{table}:4", f"{table}:6"]
    array = tmp_path / "a.json"
    array.write_text(json.dumps(ROWS[:2]))
    assert places(array) == [f"{array} row 1", f"{array} row 2"]


def test_a_byte_order_mark_and_a_missing_last_newline_are_fine(tmp_path: Path) -> None:
    for name, content in (("a.jsonl", lines(ROWS).rstrip()), ("a.json", json.dumps(ROWS).encode())):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + content)
        assert fields(tmp_path / name) == ROWS


GOOD = b'{"a": 1}\n'


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.jsonl", GOOD + b'{"a": \n', ":2: not valid JSON"),
        ("a.jsonl", GOOD + b"[1]\n", ":2: a row is a JSON object"),
        ("a.jsonl", GOOD + b'{"a": "\xff"}\n', ":2: not UTF-8 (byte 0xff)"),
        ("a.jsonl", GOOD + b'{"a": "\\ud800"}\n', ":2: half of a surrogate pair"),
        ("a.jsonl", GOOD + b'{"a": "\x1b"}\n', ":2: not valid JSON: Invalid control character"),
        ("a.jsonl", GOOD + b"[" * 100_000, ":2: not usable JSON: nested too deeply"),
        ("a.jsonl", GOOD + b'{"a": ' + b"9" * 5000 + b"}", ":2: not usable JSON"),
        ("a.json", b'{"data": \n{"a": 1}}', ":1: one object spread over lines"),
        ("a.json", b'{"data": [{"a": 1}],\n"more": [{"b": 2}]}', ":2: the object holds several arrays"),
        ("a.json", b'{"a": 1\n{"a": 2}', ":1: not valid JSON"),
        ("a.json", b'[{"a": 1},\n{"a": }]', ":2: not valid JSON: Expecting value"),
        ("a.json", b'[{"a": 1}\n{"a": 2}]', ":2: expected , or ]"),
        ("a.json", b'[{"a": 1},\n', ":2: not valid JSON"),
        ("a.json", b'[{"a": 1}\n', ":2: the array has no end"),
        ("a.json", b'[{"a": 1}]\n\n{}', ":3: text after the end"),
        ("a.json", b'[{"a": 1},\n"\\udfff"]', " row 2: a row is a JSON object"),
        ("a.json", b'[{"a": "\n\n\xc3("}]', ":3: not UTF-8"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", ":3: 3 values, and the header names 2 columns"),
        ("a.csv", b'a,b\n"1,2\n', ":2: not valid CSV"),
        ("a.csv", b"a,a\n1,2\n", ":1: the header names a column twice"),
        ("a.jsonl.gz", gzip.compress(GOOD * 99, mtime=0)[:-12], ": broken gzip file"),
        ("a.jsonl.gz", b"plain", ": broken gzip file"),
        ("a.parquet", b"PAR1 no", ": not a readable Parquet file"),
        ("a.arrow", b"ARROW1 no", ": not a readable Arrow file"),
        ("a.txt", b"", ": not a kind of file that is read here"),
    ],
)
def test_a_broken_file_is_named_with_line_and_cause(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnusableError) as caught:
        fields(path)
    assert f"{path}{problem}" in str(caught.value)


def test_rows_before_a_broken_one_are_read_first(tmp_path: Path) -> None:
    """Reading is a stream: what stands later in the file is not looked at yet."""
    for name, content in (("a.jsonl", GOOD + b"broken"), ("a.json", b'[{"a": 1}, broken')):
        (tmp_path / name).write_bytes(content)
        rows = read_rows(source(tmp_path / name))
        assert next(rows).fields == {"a": 1}
        with pytest.raises(UnusableError):
            next(rows)


def test_an_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "MAX_ROW", 1000)
    (tmp_path / "a.jsonl").write_bytes(GOOD + b'{"a": "' + b"x" * 2000 + b'"}')
    with pytest.raises(UnusableError, match=r"a\.jsonl:2: the line is longer"):
        fields(tmp_path / "a.jsonl")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(st.text("ab", max_size=2), VALUES), max_size=6), st.integers(1, 9))
@settings(max_examples=80, deadline=None)
def test_an_array_reads_alike_whatever_the_chunks(rows: list[dict[str, Any]], chunk: int) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_files, "CHUNK", chunk)
        path = Path(folder) / "a.json"
        path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
        assert fields(path) == rows


def test_a_folder_is_read_in_order_without_the_other_splits(tmp_path: Path) -> None:
    for name, row in (("train-1.jsonl", ROWS[1]), ("train-0.jsonl", ROWS[0]), ("test.jsonl", ROWS[2])):
        (tmp_path / name).write_bytes(lines([row]))
    (tmp_path / "more.csv").write_bytes(csv_bytes(ROWS[3:4]))
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / ".hidden.jsonl").write_text("broken")
    (tmp_path / "README.md").write_text("# Pairs")
    assert fields(tmp_path) == [ROWS[3], ROWS[0], ROWS[1]]
    assert fields(tmp_path, split="test") == [ROWS[3], ROWS[2]]
    assert open_source(source(tmp_path)).files == 3


def test_a_folder_without_data_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=r"holds no data files: expected \.jsonl"):
        fields(tmp_path)
    (tmp_path / "test.jsonl").write_bytes(lines(ROWS))
    with pytest.raises(UnusableError, match=r'holds no files of split "train", only test\.jsonl'):
        fields(tmp_path)


def test_a_saved_dataset_with_splits_gives_the_one_asked_for(tmp_path: Path) -> None:
    both = DatasetDict({"train": Dataset.from_list(ROWS[:3]), "test": Dataset.from_list(ROWS[3:])})
    both.save_to_disk(tmp_path / "saved")
    assert fields(tmp_path / "saved", split="test") == ROWS[3:]
    with pytest.raises(UnusableError, match='no split "validation" is saved here, only train, test'):
        fields(tmp_path / "saved", split="validation")


def test_the_number_of_rows_is_known_where_the_file_says_it(tmp_path: Path) -> None:
    WRITERS["a.parquet"](tmp_path / "a.parquet")
    WRITERS["a.jsonl"](tmp_path / "a.jsonl")
    assert open_source(source(tmp_path / "a.parquet")).total == 5
    assert open_source(source(tmp_path / "a.parquet", limit=2)).total == 2
    assert open_source(source(tmp_path / "a.jsonl")).total is None


def test_a_missing_file_is_named_and_a_repo_id_recognised() -> None:
    with pytest.raises(UnusableError, match=r"nowhere\.jsonl: no such file"):
        open_source(source("nowhere.jsonl"))
    with pytest.raises(UnusableError, match='source = "hub"'):
        open_source(source("owner/name"))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(UnusableError, match=r"a\.jsonl: neither a file nor a folder"):
        open_source(source(tmp_path / "a.jsonl"))


def test_the_built_in_pairs_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quickstart").mkdir()
    (tmp_path / "quickstart" / "pairs.jsonl").write_bytes(lines(ROWS))
    monkeypatch.setattr(sources_module, "template_dir", lambda: tmp_path)
    assert [row.fields for row in read_rows(source("quickstart", "builtin"))] == ROWS
    with pytest.raises(UsageError, match="Known: quickstart"):
        open_source(source("quickstrat", "builtin"))


def test_the_fingerprint_follows_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(ROWS))
    before = fingerprint(source(path))
    assert fingerprint(source(path)) == before
    path.write_bytes(lines(ROWS[:4]))
    assert fingerprint(source(path)) != before
