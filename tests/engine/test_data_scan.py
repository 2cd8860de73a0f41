"""All rows are looked through before the first is encoded; those of a stream, which come once, are not."""

from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from engine.data.encoding.encoder import Encoder
from engine.data.prepare import make_pairs
from engine.data.watch import Watch
from engine.exits import StopRequested, UnusableError, UsageError
from tests.engine.preparing import config_for, config_of, local, row, write
from tests.hub_server import HubServer

REPO = "owner/Pairs"


@pytest.fixture
def no_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever encodes a row has gone too far."""

    def refuse(*_: object) -> None:
        raise AssertionError("encoded before all rows were looked through")

    monkeypatch.setattr(Encoder, "encode_all", refuse)


@pytest.mark.usefixtures("no_encoding")
@pytest.mark.parametrize(
    ("last", "problem"),
    [
        (b'{"prompt": "a", "chosen": "b", "reje', ":2001: not valid JSON: Unterminated string starting at column"),
        (b'{"prompt": "a", "chosen": "b", "rejected": 7}\n', ":2001: `rejected` is a number: expected text"),
        (b'{"prompt": "a", "prompt": "b", "chosen": "c"}\n', ':2001: not usable JSON: the key "prompt" stands twice'),
    ],
)  # fmt: skip
def test_the_last_row_is_looked_at_before_the_first_is_encoded(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase, last: bytes, problem: str
) -> None:
    file = write(tmp_path / "a.jsonl", [row(n) for n in range(2000)])
    with file.open("ab") as out:
        out.write(last)
    with pytest.raises(UnusableError) as caught:
        make_pairs(config_for(file), tiny_tokenizer, tmp_path / "out")
    assert f"{file}{problem}" in caught.value.text
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.usefixtures("no_encoding")
def test_so_are_the_last_source_and_its_name(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    good = write(tmp_path / "a.jsonl", [row(n) for n in range(30)])
    bad = write(tmp_path / "b.jsonl", [row(0), {"prompt": "x", "chosen": "y"}])
    with pytest.raises(UnusableError, match=r"b\.jsonl:2: `rejected` is missing"):
        make_pairs(config_for(good, bad), tiny_tokenizer, tmp_path / "out")
    misspelt = config_of(local(good), local(good, format="trl-explicitt"))
    with pytest.raises(UsageError, match="trl-explicit"):
        make_pairs(misspelt, tiny_tokenizer, tmp_path / "out")


def test_progress_is_rows_looked_through_then_rows_encoded_of_all(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    files = [write(tmp_path / f"{name}.jsonl", [row(n) for n in range(700)]) for name in "ab"]
    seen: list[tuple[int, int | None]] = []
    watch = Watch(lambda done, total: seen.append((done, total)))
    make_pairs(config_for(*files), tiny_tokenizer, tmp_path / "out", watch)
    looked = [done for done, total in seen if total is None]
    encoded = [done for done, total in seen if total is not None]
    assert seen == [(done, None) for done in looked] + [(done, 1400) for done in encoded]
    assert looked == [512, 700, 1212, 1400]
    assert encoded == sorted(encoded)
    assert encoded[-1] == 1400


def test_a_stop_is_honoured_while_rows_are_looked_through(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    file = write(tmp_path / "a.jsonl", [row(n) for n in range(2000)])
    asked: list[int] = []

    def after_the_second_look() -> bool:
        asked.append(1)
        return len(asked) == 2

    watch = Watch(should_stop=after_the_second_look)
    with pytest.raises(StopRequested):
        make_pairs(config_for(file), tiny_tokenizer, tmp_path / "out", watch)
    assert list((tmp_path / "out").iterdir()) == []


def stream(hub: HubServer, tmp_path: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A streamed source of these rows."""
    file = write(tmp_path / "upload.jsonl", rows)
    hub.add(REPO, {"train.jsonl": file.read_bytes()}, "dataset")
    return {"source": "hub", "path": REPO, "streaming": True}


def test_a_stream_is_read_once_and_its_number_of_rows_is_unknown(
    hub: HubServer, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    source = stream(hub, tmp_path, [row(n) for n in range(600)])
    seen: list[tuple[int, int | None]] = []
    watch = Watch(lambda done, total: seen.append((done, total)))
    made = make_pairs(config_of(source), tiny_tokenizer, tmp_path / "out", watch)
    assert made.report.kept == 600
    assert {total for _, total in seen} == {None}
    assert seen[-1][0] == 600


def test_a_broken_row_of_a_stream_is_named_when_it_comes(
    hub: HubServer, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    source = stream(hub, tmp_path, [*(row(n) for n in range(400)), row(400, chosen=None)])
    with pytest.raises(UnusableError, match=f"{REPO} row 401: `chosen` is null"):
        make_pairs(config_of(source), tiny_tokenizer, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
