"""Files that are not quite what they seem: wrong bytes, odd line ends, broken JSON, lines without end."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.exits import Exit
from tests.bad_input.command import Command, Outcome, failed

GOOD = {"prompt": "What is red?", "chosen": "Tea.", "rejected": "The old cup in the sun."}
LINE = json.dumps(GOOD).encode() + b"\n"
MIB = 1 << 20


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever loads weights has gone too far."""
    monkeypatch.delattr("engine.build.load_model")


def trained(dpo_tui: Command, config: Path, path: Path, content: bytes) -> Outcome:
    path.write_bytes(content)
    return dpo_tui("--headless", config, f"--set=data.sources.0.path={path}")


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LINE + b'{"prompt": "\xff", "chosen": "a", "rejected": "b"}\n', ":2: not UTF-8 (byte 0xff)"),
        (LINE.decode().encode("utf-16"), ":1: not UTF-8"),
        (LINE * 9 + b'{"prompt": "x", "cho', ":10: not valid JSON"),
        (LINE * 9 + b"{'prompt': 'x'}\n", ":10: not valid JSON"),
        (LINE * 9 + LINE.rstrip() + b",\n", ":10: not valid JSON"),
        (LINE * 9 + b'{"prompt": NaN, "chosen": "a", "rejected": "b"}\n', ":10: `prompt` is a number"),
        (LINE * 9 + b'{"prompt": "a", "prompt": "b", "chosen": "c", "rejected": "d"}\n', ":10: "),
        (LINE + b'{"prompt": "\\ud800", "chosen": "a", "rejected": "b"}\n', ":2: half of a surrogate pair"),
        (LINE + b'{"prompt": "a", "chosen": "a\x00b", "rejected": "b"}\n', ":2: not valid JSON"),
        (LINE + b"[" * 100_000 + b"\n", ":2: not usable JSON: nested too deeply"),
        (LINE + b'{"a":' * 100_000 + b"\n", ":2: not usable JSON: nested too deeply"),
        (LINE + b'{"prompt": ' + b"9" * 5000 + b"}\n", ":2: not usable JSON"),
        (b"\x00" * 100, ":1: not valid JSON"),
        (b"\x1f\x8b" + b"x" * 100, ":1: not UTF-8"),
        (json.dumps([GOOD], indent=1).encode().replace(b"\n]", b""), "the array has no end"),
        (json.dumps([GOOD, 3]).encode(), "row 2: a row is a JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (json.dumps(GOOD, indent=1).encode(), ":1: one object spread over lines"),
    ],
)
def test_what_is_no_row_is_named_with_its_line(
    dpo_tui: Command, config: Path, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "rows.jsonl"
    failed(trained(dpo_tui, config, path, content), Exit.UNUSABLE, str(path), words)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.jsonl.gz", b"not gzip", "broken gzip file"),
        ("rows.jsonl.gz", gzip.compress(LINE * 999, mtime=0)[:-20], "broken gzip file"),
        ("rows.parquet", LINE, "rows.parquet"),
        ("rows.arrow", LINE, "rows.arrow"),
        ("rows.csv", b"prompt,chosen,rejected\na,b\n", ":2: 2 values, and the header names 3"),
        ("rows.csv", b'prompt,chosen,rejected\n"a,b,c\n', ":2: not valid CSV"),
        ("rows.csv", b"prompt,prompt,rejected\na,b,c\n", ":1: the header names a column twice"),
        ("rows.csv", b"prompt,chosen,rejected\na,\xff,c\n", ":2: not UTF-8"),
        ("rows.txt", LINE, "not a kind of file that is read here"),
        ("rows.pkl", b"\x80\x04cos\nsystem\n", "not a kind of file that is read here"),
    ],
)
def test_a_file_of_each_kind_that_is_broken_is_named(
    dpo_tui: Command, config: Path, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    failed(trained(dpo_tui, config, tmp_path / name, content), Exit.UNUSABLE, str(tmp_path / name), words)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + LINE * 5,
        LINE.replace(b"\n", b"\r\n") * 5,
        b"\n\n" + LINE * 5 + b"\n  \n",
        (LINE * 5).rstrip(),
        b"\xef\xbb\xbf" + json.dumps([GOOD] * 5, indent=2).replace("\n", "\r\n").encode(),
        json.dumps({**GOOD, "chosen": "\u0000\u001b[2J\u202e"}).encode() + b"\n" + LINE * 4,
    ],
    ids=["mark", "crlf", "blank lines", "no last newline", "array", "NUL and ESC"],
)
def test_what_is_merely_odd_is_read(dpo_tui: Command, config: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    outcome = dpo_tui("data", config, f"--set=data.sources.0.path={path}", "--json")
    assert outcome.code == Exit.DONE, outcome.err
    report = json.loads(outcome.out)
    assert (report["rows"], report["kept"]) == (5, 5)


@pytest.mark.usefixtures("no_model")
def test_broken_json_in_the_last_of_many_lines_is_found_before_the_model_is_loaded(
    dpo_tui: Command, config: Path, tmp_path: Path
) -> None:
    content = LINE * 19_999 + LINE[:-10]
    path = tmp_path / "rows.jsonl"
    failed(trained(dpo_tui, config, path, content), Exit.UNUSABLE, f"{path}:20000: not valid JSON")


def test_a_row_of_fifty_megabytes_is_dropped_with_its_line_and_the_rest_is_trained(
    dpo_tui: Command, config: Path, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    large = json.dumps({**GOOD, "chosen": "word " * (10 * MIB)}).encode() + b"\n"
    settings = ["--set=train.max_steps=1", "--set=export.enabled=false", f"--set=data.sources.0.path={path}"]
    path.write_bytes(LINE * 9 + large + LINE)
    outcome = dpo_tui("--headless", config, *settings)
    assert outcome.code == Exit.DONE, outcome.err
    report = next(event["report"] for event in map(json.loads, outcome.out.splitlines()) if "report" in event)
    assert (report["rows"], report["kept"]) == (11, 10)
    assert report["dropped"]["oversized"]["places"] == [f"{path}:10"]


WITHIN = """
import resource, sys
from engine.data.files.sources import open_source
from engine.config.schema import Source
from engine.exits import EngineError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    rows = sum(len(row.fields["chosen"]) for row in open_source(Source(source="local", path=sys.argv[1])).rows)
    print(rows)
except EngineError as error:
    print(error.text[:200])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.parametrize(
    ("size", "ending", "said"),
    [
        (50 * MIB, b'"}\n', str(50 * MIB)),
        (50 * MIB, b"", ":1: not valid JSON"),
        (200 * MIB, b'"}\n', ":1: the line is longer than 64 MiB"),
    ],
)
def test_a_line_of_fifty_megabytes_takes_memory_for_that_line_and_no_more(
    tmp_path: Path, size: int, ending: bytes, said: str
) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.write(b'{"prompt": "a", "rejected": "b", "chosen": "')
        for _ in range(size // MIB):
            file.write(b"x" * MIB)
        file.write(ending)
    done = subprocess.run([sys.executable, "-c", WITHIN, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *words, mib = done.stdout.splitlines()
    assert said in " ".join(words)
    assert int(mib) < 6 * 64  # bytes, text, value and their joints, of at most 64 MiB each
