"""What decides the pairs decides the set they are found in again, and nothing else does."""

import os
from copy import deepcopy
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from engine.config.schema import Config
from engine.data.encoding.encoder import Encoder
from engine.data.encoding.limits import Limits
from engine.data.prepared import key as prepared_key
from engine.data.prepared.key import prepared_key as key_of
from tests.engine.preparing import Prepare, chat_row, config_for, config_of, local, write

DATED = (
    "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
)
COMMIT = "0123456789" * 4


@pytest.mark.parametrize(
    ("source", "more"),
    [
        ({"limit": 39}, {}),
        ({"format": "trl-explicit"}, {}),
        ({"columns": {name: name for name in ("prompt", "chosen", "rejected")}}, {}),
        ({}, {"max_length": 63}),
        ({}, {"max_prompt_length": 31}),
        ({}, {"too_long": "drop"}),
        ({}, {"eval_fraction": 0.5}),
        ({}, {"seed": 1}),
    ],
)
def test_a_key_of_the_config_makes_another_set(
    prepare: Prepare, file: Path, source: dict[str, Any], more: dict[str, Any]
) -> None:
    assert not prepare(config_for(file), "one").reused
    assert not prepare(config_of(local(file, **source), **more), "two").reused


def test_other_rows_make_another_set_even_at_the_same_size_and_time(prepare: Prepare, file: Path) -> None:
    prepare(config_for(file), "one")
    before = file.stat()
    file.write_bytes(file.read_bytes().replace(b"sky", b"sea"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert not prepare(config_for(file), "two").reused


def test_another_vocabulary_template_or_version_makes_another_set(
    prepare: Prepare,
    file: Path,
    tmp_path: Path,
    tiny_tokenizer: PreTrainedTokenizerBase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare(config_for(file), "one")
    larger = deepcopy(tiny_tokenizer)
    larger.add_tokens(["sky"])
    assert not prepare(config_for(file), "two", larger).reused
    template = tmp_path / "chat.jinja"
    template.write_text("{{ messages }}")
    assert not prepare(config_for(file, chat_template=str(template)), "three").reused
    monkeypatch.setattr(prepared_key, "VERSION", prepared_key.VERSION + 1)
    assert not prepare(config_for(file), "four").reused


def test_weights_the_place_of_a_template_and_calls_of_the_tokenizer_change_nothing(
    prepare: Prepare, file: Path, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    paths = [tmp_path / name for name in ("a.jinja", "b.jinja")]
    for path in paths:
        path.write_text("{{ messages }}")
    first = prepare(config_for(file, chat_template=str(paths[0])), "one")
    tokenizer = deepcopy(tiny_tokenizer)
    tokenizer(["cut", "to four"], truncation=True, max_length=4, padding="max_length")
    config = config_of(local(file, weight=2.0), chat_template=str(paths[1]))
    assert (first.reused, prepare(config, "two", tokenizer).reused) == (False, True)


def test_a_template_that_writes_the_date_is_not_shared_with_another_day(
    prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dated.jinja"
    path.write_text(DATED)
    file = write(tmp_path / "chats.jsonl", [chat_row(n) for n in range(9)])
    config = config_for(file, chat_template=str(path), eval_fraction=0)
    assert [prepare(config, name).reused for name in ("one", "two")] == [False, True]
    tomorrow(monkeypatch)
    assert prepare(config, "one").reused  # a run goes on with what it has
    assert not prepare(config, "three").reused


def test_a_template_without_a_date_is_shared_with_every_day(
    prepare: Prepare, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(config_for(file), "one")
    tomorrow(monkeypatch)
    assert prepare(config_for(file), "two").reused


def tomorrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the keys believe that a day has passed."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Later":
            return cls.fromtimestamp((datetime.now() + timedelta(days=1)).timestamp(), tz)

    monkeypatch.setattr(prepared_key, "datetime", Later)


@pytest.mark.parametrize(
    ("revision", "shared"), [(None, False), ("main", False), (COMMIT[:39], False), (COMMIT, True)]
)
def test_of_the_hub_only_a_commit_is_shared(
    tiny_tokenizer: PreTrainedTokenizerBase, revision: str | None, shared: bool
) -> None:
    config: Config = config_of({"source": "hub", "path": "owner/pairs", "revision": revision})
    key = key_of(config, Encoder(tiny_tokenizer, Limits(64, 32)), None)
    assert (key.shared is not None) == shared
