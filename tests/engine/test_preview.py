"""`python -m engine preview`, a process of its own: its protocol, whatever is asked and however it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.preview.protocol import MAX_LINE
from engine.process import start_time
from tests.engine.preparing import row, write
from tests.engine.previewing import PreviewProcess, config_of
from tests.engine.tiny_folder import write_folder
from tests.hub_server import HubServer, serving
from tests.waiting import until


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    with serving(HubServer()) as hub:
        yield hub


@pytest.fixture(scope="module")
def preview(hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreviewProcess]:
    """One process for all tests of this file, as a wizard has one for all of its steps."""
    preview = PreviewProcess(tmp_path_factory.mktemp("preview"), hub.address)
    yield preview
    assert preview.end() == 0
    assert list(preview.temporary.iterdir()) == []


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 20,000 rows."""
    rows = (row(n, chosen=f" is blue {n} " + "and deep " * 9) for n in range(20_000))
    return write(tmp_path_factory.mktemp("many") / "many.jsonl", rows)


def test_first_line_says_that_it_is_ready(preview: PreviewProcess) -> None:
    until(lambda: preview.lines, 60)
    assert preview.told()[0] == {"ready": True}


def test_model_is_told_from_its_files(preview: PreviewProcess, model: Path) -> None:
    facts = preview.answer("model", model={"source": "local", "id": str(model)})
    shape = {"layers": 2, "hidden": 32, "heads": 4, "vocabulary": 264, "context": 128}
    assert shape.items() <= facts.items()
    assert (facts["architecture"], facts["dtype"]) == ("LlamaForCausalLM", "float32")
    assert facts["bytes"] == (model / "model.safetensors").stat().st_size
    assert 4 * facts["parameters"] == pytest.approx(facts["bytes"], rel=0.1)
    assert (facts["chat_template"], facts["cached"], facts["commit"]) == (True, True, None)


def test_data_is_reported_with_pairs_to_leaf_through(
    preview: PreviewProcess, model: Path, pairs: Path
) -> None:
    told = preview.answer("data", config=config_of(model, pairs), rows=5000)
    assert (told["rows"], told["kept"], told["count"], told["partial"]) == (30, 30, 30, False)
    assert (told["train"], told["eval"]) == (28, 2)
    assert len(told["pairs"]) == 3
    assert told["pairs"][0]["prompt"].startswith("<|im_start|>user\n")
    last = preview.answer("pair", index=29)
    assert last["index"] == 29
    assert last["chosen"].endswith("<|endoftext|>")
    assert preview.error("pair", index=30)["code"] == "preview.no_pair"
    assert preview.error("pair", index=-1)["params"] == {"index": -1, "count": 30}


def test_histograms_hold_all_pairs_but_the_longest(preview: PreviewProcess, model: Path, many: Path) -> None:
    told = preview.answer("data", config=config_of(model, many), rows=1000)
    for part in ("prompt", "chosen", "rejected"):
        assert len(told["histograms"][part]) == 12
        assert 0.98 * told["kept"] <= sum(told["histograms"][part]) <= told["kept"]
        assert told["bins"][part] == told["lengths"][part]["p99"]
    assert (told["rows"], told["partial"]) == (1000, True)


def test_pairs_of_a_preview_are_not_kept_for_runs(preview: PreviewProcess, model: Path, pairs: Path) -> None:
    preview.answer("data", config=config_of(model, pairs), rows=10)
    assert not list(preview.temporary.parent.glob("xdg/dpo-tui/prepared/*"))
    assert len(list(preview.temporary.iterdir())) == 1, "the folder of the process itself"
    assert not list(preview.temporary.glob("*/*")), "the pairs outlive their files"


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"7",
        b"null",
        b'{"ask": "model"}',
        b'{"id": true, "ask": "model"}',
        b"\xff\xfe{}",
        b"[" * 9999,
    ],
)
def test_line_that_is_no_request_gets_an_error_without_an_id(preview: PreviewProcess, line: bytes) -> None:
    before = len(preview.told())
    preview.send(line)
    preview.answer("columns", source={"source": "builtin", "path": "quickstart"})
    told = preview.told()[before]
    assert (told["id"], told["error"]["code"]) == (None, "preview.bad_request")


def test_line_without_end_is_passed_over(preview: PreviewProcess) -> None:
    before = len(preview.told())
    preview.send(b'{"id": 1, "ask": "' + b"x" * 2 * MAX_LINE + b'"}')
    preview.answer("columns", source={"source": "builtin", "path": "quickstart"})
    assert [told["id"] for told in preview.told()[before:]] == [None, preview._last]


@pytest.mark.parametrize(
    ("ask", "fields"),
    [
        ("nothing", {}),
        ("data", {"config": config_of(Path("/m"), Path("/p")), "rows": 0}),
        ("data", {"config": config_of(Path("/m"), Path("/p")), "rows": "5"}),
    ],
)
def test_question_that_makes_no_sense_is_refused_under_its_id(
    preview: PreviewProcess, ask: str, fields: dict[str, Any]
) -> None:
    assert preview.error(ask, **fields)["code"] == "preview.bad_request"


def test_faults_of_a_config_are_told_by_key(preview: PreviewProcess, model: Path) -> None:
    config = config_of(model) | {"optimizer": {"learning_rate": 2}}
    error = preview.error("data", config=config, rows=10)
    assert (error["exit"], error["code"]) == (2, "config.invalid")
    keys = {problem["key"] for problem in error["params"]["problems"]}
    assert keys == {"data.sources", "optimizer.learning_rate"}
    assert preview.error("model", model={"id": 3})["params"]["problems"][0]["key"] == "id"
    assert preview.error("model", model=[])["code"] == "config.invalid"
    assert preview.error("columns", source={"paht": "x"})["params"]["problems"][0]["key"] == "path"


def test_errors_of_training_are_those_of_a_preview(
    preview: PreviewProcess, model: Path, tmp_path: Path
) -> None:
    strange = write(tmp_path / "a.jsonl", [{"inquiry": "a?", "win": "b", "lose": "c"}])
    error = preview.error("data", config=config_of(model, strange), rows=10)
    assert (error["exit"], error["code"]) == (3, "data.format_unknown")
    assert error["params"]["columns"] == ["inquiry", "win", "lose"]
    gone = preview.error("model", model={"source": "local", "id": str(tmp_path / "gone")})
    assert gone["code"] == "model.not_found"


def test_what_is_said_of_rows_that_are_all_left_out_is_said_of_those_that_were_read(
    preview: PreviewProcess, model: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", (row(n, source="web" if n < 8 else "forum") for n in range(9)))

    def error(rows: int | None, **source: Any) -> tuple[str, int, str]:
        config = config_of(model, path)
        config["data"]["sources"][0] |= {"exclude": {"source": ["web"]}, **source}
        told = preview.error("data", config=config, rows=rows)
        return told["code"], told["params"]["rows"], told["text"]

    code, rows, text = error(8)
    assert (code, rows) == ("preview.all_excluded", 8)
    assert "leaves out all of the first 8 rows, and a preview reads no more" in text
    assert error(8, limit=8)[:2] == ("data.all_excluded", 8)
    assert error(20, exclude={"source": ["web", "forum"]})[:2] == ("data.all_excluded", 9)
    assert error(9, exclude={"source": ["web", "forum"]})[:2] == ("data.all_excluded", 9)


def test_rows_from_anywhere_are_told_as_they_are(
    preview: PreviewProcess, model: Path, tmp_path: Path
) -> None:
    hostile = '\x1b]52;c;eA==\x07 \u202e "\n{"id": 1} \ud800'.encode("utf-8", "surrogatepass").decode(
        "utf-8", "replace"
    )
    file = write(tmp_path / "a.jsonl", [row(n, rejected=f" {hostile} {n}") for n in range(3)])
    told = preview.answer("data", config=config_of(model, file), rows=10)
    assert told["pairs"][0]["rejected"].startswith(f" {hostile}")
    broken = tmp_path / "b.jsonl"
    broken.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n{"prompt": NaN\n')
    assert preview.error("data", config=config_of(model, broken), rows=10)["exit"] == 3


def test_reading_is_cancelled_in_the_middle(preview: PreviewProcess, model: Path, many: Path) -> None:
    number = preview.ask("data", config=config_of(model, many), rows=20_000)
    until(lambda: len(preview.about(number)) > 1, 60)
    assert preview.answer("cancel", of=number) == {"found": True}
    assert preview.last(number, 5) == {"id": number, "cancelled": True}
    assert preview.about(number)[0]["progress"]["done"] < 20_000
    assert preview.answer("cancel", of=number) == {"found": False}


def test_newer_request_takes_the_place_of_one_of_its_kind(
    preview: PreviewProcess, model: Path, many: Path, pairs: Path
) -> None:
    first = preview.ask("data", config=config_of(model, many), rows=20_000)
    until(lambda: preview.about(first), 60)
    waiting = preview.ask("data", config=config_of(model, many), rows=19_000)
    facts = preview.ask("model", model={"source": "local", "id": str(model)})
    newest = preview.ask("data", config=config_of(model, pairs), rows=10)
    assert preview.last(newest)["answer"]["rows"] == 10
    assert "answer" in preview.last(facts)
    for number in (first, waiting):
        assert preview.last(number) == {"id": number, "cancelled": True}


def test_progress_is_told_at_most_ten_times_a_second(
    preview: PreviewProcess, model: Path, many: Path
) -> None:
    number = preview.ask("data", config=config_of(model, many), rows=4000)
    preview.last(number)
    told = [line["progress"] for line in preview.about(number) if "progress" in line]
    assert told[0]["total"] is None
    assert 2 <= len(told) < 4000 / 512 + 4000 / 256, "fewer than there were occasions"


PRINTING = """
import os, sys
from transformers import PreTrainedTokenizerFast
print("a print"); sys.stdout.flush(); os.write(1, b"a write\\n"); os.system("echo a child")
assert sys.stdin.read() == ""
class Own(PreTrainedTokenizerFast):
    def decode(self, *arguments, **options):
        print("decoding")
        return super().decode(*arguments, **options)
"""


def test_nothing_but_the_protocol_is_on_stdout(
    preview: PreviewProcess, hub: HubServer, tmp_path: Path, pairs: Path
) -> None:
    folder = write_folder(tmp_path / "printing")
    (folder / "tokenization_own.py").write_text(PRINTING)
    path = folder / "tokenizer_config.json"
    own = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": [None, "tokenization_own.Own"]}}
    path.write_text(json.dumps({**json.loads(path.read_text()), **own}))
    commit = hub.add("owner/printing", folder).refs["main"]
    model = {"source": "hub", "id": "owner/printing", "revision": commit, "trust_remote_code": True}
    told = preview.answer("data", config={**config_of(folder, pairs), "model": model}, rows=10)
    assert told["count"] == 10
    preview.told()  # every line is JSON
    said = preview.errors.read_text()
    assert all(words in said for words in ("a print", "a write", "a child", "decoding"))


def test_interrupt_meant_for_the_app_changes_nothing(preview: PreviewProcess, model: Path) -> None:
    preview.process.send_signal(signal.SIGINT)
    assert preview.answer("model", model={"source": "local", "id": str(model)})["layers"] == 2


def test_end_of_stdin_ends_it_in_the_middle_of_work(
    hub: HubServer, tmp_path: Path, model: Path, many: Path
) -> None:
    preview = PreviewProcess(tmp_path, hub.address)
    number = preview.ask("data", config=config_of(model, many), rows=20_000)
    until(lambda: preview.about(number), 60)
    assert preview.end() == 0
    assert list(preview.temporary.iterdir()) == []


PARENT = """
import os, subprocess, sys
from engine.process import ProcessId
own = ProcessId.own()
argv = [sys.executable, "-P", "-m", "engine", "preview", "--parent", f"{own.pid}:{own.start_time}"]
child = subprocess.Popen(argv)
print(child.pid, flush=True)
child.wait()
"""


def test_it_dies_with_its_parent_though_its_stdin_stays_open() -> None:
    reading, writing = os.pipe()
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=reading, stdout=subprocess.PIPE)
    os.close(reading)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert parent.stdout.readline() == b'{"ready": true}\n'
    parent.kill()
    parent.wait()
    until(lambda: start_time(pid) is None)
    os.close(writing)
