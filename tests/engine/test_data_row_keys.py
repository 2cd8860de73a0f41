"""Numbers that stand for preferences: equal content, equal number; repeated pairs are named with their place."""

import json
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from transformers import PreTrainedTokenizerBase

from engine.data.prepare import make_pairs
from engine.data.rows.keys import pair_key, prompt_bytes
from engine.data.rows.messages import ChatPreference, Message, Preference, TextPreference
from tests.engine.encodings import assistant, user
from tests.engine.preparing import chat_row, config_of, local, row, write

WORDS = ["", "a", "b", "ab", "1:a", "\ud800", "user"]
MORE: list[dict[str, Any]] = [{}, {"name": "a"}, {"tool_calls": [{"a": 1}]}, {"tool_call_id": "a"}]


def turn(text: str, more: dict[str, Any]) -> Message:
    """A message with more than its text."""
    return {"role": "user", "content": text, **more}  # type: ignore[typeddict-item]


def key(preference: Preference) -> int:
    return pair_key(preference, prompt_bytes(preference))


TURNS = [turn(word, {}) for word in WORDS] + [turn("a", more) for more in MORE[1:]]
PARTS: list[list[Message]] = [list(part) for size in range(3) for part in product(TURNS, repeat=size)]


def placed(part: list[Message]) -> list[ChatPreference]:
    """Preferences with a part in each of the places it may have."""
    places = [(part, [], []), ([], part, []), ([], [], part), (part, part, []), ([], part, part)]
    return [ChatPreference(*place) for place in places]


def test_different_pairs_have_different_keys() -> None:
    pairs: list[Preference] = [TextPreference(*parts) for parts in product(WORDS, repeat=3)]
    pairs += [ChatPreference([], [], []), *(pair for part in PARTS if part for pair in placed(part))]
    assert len(set(map(key, pairs))) == len(pairs)


def test_different_prompts_are_told_apart_and_equal_ones_are_not() -> None:
    prompts = [prompt_bytes(TextPreference(word, "a", "b")) for word in WORDS]
    prompts += [prompt_bytes(ChatPreference(part, [], [])) for part in PARTS]
    assert len(set(prompts)) == len(WORDS) + len(PARTS)
    assert prompts == [
        *(prompt_bytes(TextPreference(word, "c", "d")) for word in WORDS),
        *(prompt_bytes(ChatPreference(deepcopy(part), part, [], tools=[{}])) for part in PARTS),
    ]


def test_what_else_the_template_gets_makes_another_pair() -> None:
    sides = ([user("x")], [assistant("y")], [assistant("z")])
    plain = ChatPreference(*sides)
    others = [
        ChatPreference(*sides, tools=[{"name": "f"}]),
        ChatPreference(*sides, template_kwargs={"thinking": True}),
        ChatPreference([{**user("x"), "name": "Ann"}], *sides[1:]),
    ]
    assert len({key(preference) for preference in (plain, *others)}) == 4
    assert key(plain) == key(ChatPreference(*sides, tools=[]))


def test_repeated_pairs_are_kept_and_named_in_every_source(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    first = write(tmp_path / "a.jsonl", [row(0), row(1), row(0)])
    second = tmp_path / "b.parquet"
    pq.write_table(pa.Table.from_pylist([row(2), row(1)]), second)
    third = write(tmp_path / "c.jsonl", [chat_row(0), chat_row(0), chat_row(0, prompt=chat_row(1)["prompt"])])
    config = config_of(*map(local, (first, second, third)), eval_fraction=0)
    report = make_pairs(config, tiny_tokenizer, tmp_path / "out").report
    assert report.kept == 8
    assert report.duplicates.places == [f"{first}:3", f"{second} row 2", f"{third}:2"]
    assert json.loads(json.dumps(report.to_json()))["duplicates"]["count"] == 3
