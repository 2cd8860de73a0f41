"""Parquet and Arrow files with any damage: their readers are native code, which may take the process with it."""

import os
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.schema import Source
from engine.data.files.sources import open_source
from engine.exits import EngineError
from tests.fuzz.cases import COUNT, fuzzed

ROWS = [
    {"prompt": "a", "chosen": "b", "rejected": [{"role": "x", "content": "y" * size}]} for size in (0, 9, 99)
]
ANSWERS = {0: "rows", 1: "an error a person can act on"}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Good files of the table formats."""
    folder = tmp_path_factory.mktemp("tables")
    table = pa.Table.from_pylist(ROWS)
    pq.write_table(table, folder / "rows.parquet")
    for name, writer in (("rows.arrow", pa.ipc.new_stream), ("file.arrow", pa.ipc.new_file)):
        with pa.OSFile(str(folder / name), "wb") as file, writer(file, table.schema) as stream:
            stream.write_table(table)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def answer(path: Path) -> str:
    """What reading the file ends with, tried in a child of this process."""
    child = os.fork()
    if child == 0:
        os._exit(_read(path))
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return ANSWERS.get(os.WEXITSTATUS(status), "another exception")


def _read(path: Path) -> int:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        for row in open_source(Source(source="local", path=str(path))).rows:
            str(row.fields)
    except EngineError:
        return 1
    except BaseException:
        return 2
    return 0


@fuzzed
@given(
    name=st.sampled_from(["rows.parquet", "rows.arrow", "file.arrow"]),
    damage=st.lists(
        st.tuples(st.integers(0, 9999), st.binary(min_size=1, max_size=4)), min_size=1, max_size=4
    ),
    cut=st.none() | st.integers(0, 9999),
)
def test_a_damaged_table_is_rows_or_an_error(
    tables: dict[str, bytes],
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    damage: list[tuple[int, bytes]],
    cut: int | None,
) -> None:
    COUNT["tables"] += 1
    content = bytearray(tables[name])
    for at, piece in damage:
        start = at % len(content)
        content[start : start + len(piece)] = piece
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content if cut is None else content[: cut % len(content)])
    assert answer(path) in ANSWERS.values()
