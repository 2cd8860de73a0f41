"""Rows of any shape and files of any bytes, through all of preparing: pairs, or an error that names the place."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.config.schema import Config, Data, Model, Source
from engine.data.formats.table import FORMATS
from engine.data.prepare import make_pairs
from engine.data.prepared.prepared_set import Prepared
from tests.engine.tiny_folder import tiny_tokenizer
from tests.fuzz.cases import case, fuzzed

Prepare = Callable[[str, bytes, str], None]

SAMPLES = [dict(layout.sample) for layout in FORMATS]
COLUMNS = sorted(
    {column for sample in SAMPLES for column in sample} | {"score_chosen", "margin", "label", "tools"}
)
WORDS = [
    "role",
    "content",
    "from",
    "value",
    "user",
    "assistant",
    "system",
    "tool",
    "human",
    "gpt",
    "type",
    "text",
]
KEY = st.sampled_from([*COLUMNS, *WORDS]) | st.text(max_size=3)
TEXT = st.sampled_from(
    [*WORDS, "", " ", "\n", "\x00", "\u202e", "Human: a\n\nAssistant: b", "x" * 300]
) | st.text(max_size=9)
LEAF = TEXT | st.none() | st.booleans() | st.integers() | st.floats()
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=4), max_leaves=12
)
ROW = st.dictionaries(st.sampled_from(COLUMNS), JSON, max_size=6)


@pytest.fixture(scope="module")
def prepare(tmp_path_factory: pytest.TempPathFactory) -> Prepare:
    """Prepares one file's pairs with a tokenizer of bytes; the directory is fresh each time."""
    folder, tokenizer = tmp_path_factory.mktemp("fuzz"), tiny_tokenizer()

    def run(name: str, content: bytes, test: str) -> None:
        out, path = folder / "out", folder / name
        shutil.rmtree(out, ignore_errors=True)
        path.write_bytes(content)
        with case(test):
            check(make_pairs(config_for(path), tokenizer, out))

    return run


def config_for(path: Path) -> Config:
    source = Source(source="local", path=str(path))
    return Config(
        model=Model(id="me/mine"),
        data=Data(max_length=32, max_prompt_length=16, eval_fraction=0.2, sources=[source]),
    )


def check(prepared: Prepared) -> None:
    """Every row is accounted for, and what is kept fits the limits."""
    report = prepared.report
    assert report.rows == report.kept + sum(tally.count for tally in report.dropped.values())
    assert report.kept == report.train + report.eval == len(prepared.train) + len(prepared.eval or ())
    for number in range(len(prepared.train)):
        pair = prepared.train[number]
        assert 0 < max(len(pair.chosen), len(pair.rejected)) <= 33  # and an EOS
    report.render()


@st.composite
def altered(draw: st.DrawFn) -> Any:
    """A sample row of a layout with some of its inner values replaced, removed or doubled."""
    row = json.loads(json.dumps(draw(st.sampled_from(SAMPLES))))
    for _ in range(draw(st.integers(0, 2))):
        place: Any = row
        while isinstance(place, dict | list) and place:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            inner = place[key]
            if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
                change(draw, place, key)
                break
            place = inner
    return row


def change(draw: st.DrawFn, place: Any, key: Any) -> None:
    match draw(st.integers(0, 3)):
        case 0:
            place[key] = draw(JSON)
        case 1:
            del place[key]
        case 2 if isinstance(place, list):
            place.append(place[key])
        case _:
            place[key] = draw(TEXT)


def lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@fuzzed
@given(rows=st.lists(altered(), min_size=1, max_size=4))
@example(rows=[{"query": "a", "response": "b", "rejected_response": "c", "history": " "}])
def test_rows_nearly_of_a_layout(prepare: Prepare, rows: list[Any]) -> None:
    prepare("rows.jsonl", lines(rows), "altered rows")


@fuzzed
@given(rows=st.lists(ROW | JSON, max_size=4), array=st.booleans())
def test_rows_of_any_shape(prepare: Prepare, rows: list[Any], array: bool) -> None:
    content = json.dumps(rows).encode() if array else lines(rows)
    prepare("rows.json" if array else "rows.jsonl", content, "any rows")


GOOD = [lines([sample, sample]) for sample in SAMPLES] + [json.dumps(SAMPLES[:2], indent=1).encode()]
CSV = b'prompt,chosen,rejected\r\n"a ""b""",c,d\r\ne,"f\ng",h\r\n'
PIECES = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\ud800", b"\\u0000", b"\n", b"\r", b"\x00",
         b"\xff", b"NaN",
          b"1e999", b"9" * 5000, b"[" * 2000, b"\xef\xbb\xbf", b"\x1f\x8b", b"null", b"true", b'""', b"'"]  # fmt: skip
NAMES = st.sampled_from(
    ["rows.jsonl", "rows.json", "rows.csv", "rows.ndjson", "rows.jsonl.gz", "rows.csv.gz"]
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    content = draw(st.sampled_from([*GOOD, CSV]))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=3))
        content = content[:at] + piece + content[at + draw(st.integers(0, 9)) :]
    return content


@fuzzed
@given(
    name=NAMES, content=damaged() | st.binary(max_size=99) | st.lists(st.sampled_from(PIECES)).map(b"".join)
)
def test_files_of_any_bytes(prepare: Prepare, name: str, content: bytes) -> None:
    prepare(
        name, gzip.compress(content, 1) if name.endswith(".gz") and len(content) % 3 else content, "files"
    )
