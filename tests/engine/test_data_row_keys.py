"""Numbers that stand for preferences: equal content, equal number; repeated pairs are named with their place."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from engine.data.messages import ChatPreference, Message, Preference, TextPreference
from engine.data.prepare import make_pairs
from engine.data.row_keys import pair_key, prompt_bytes
from tests.engine.encodings import assistant, user
from tests.engine.preparing import chat_row, config_of, local, row, write

WORD = st.sampled_from(["", "a", "b", "ab", "1:a", "\ud800", "user"])
MORE: list[dict[str, Any]] = [{}, {"name": "a"}, {"tool_calls": [{"a": 1}]}, {"tool_call_id": "a"}]


def turn(text: str, more: dict[str, Any]) -> Message:
    """A message with more than its text."""
    return {"role": "user", "content": text, **more}  # type: ignore[typeddict-item]


PART = st.lists(st.builds(turn, WORD, st.sampled_from(MORE)), max_size=3)
PREFERENCES = st.builds(TextPreference, WORD, WORD, WORD) | st.builds(
    ChatPreference,
    PART,
    PART,
    PART,
    st.sampled_from([None, [{"name": "a"}], [{"name": "b"}]]),
    st.sampled_from([{}, {"thinking": True}]),
)


def key(preference: Preference) -> int:
    return pair_key(preference, prompt_bytes(preference))


@given(PREFERENCES, PREFERENCES)
def test_only_what_is_equal_has_equal_keys(one: Preference, other: Preference) -> None:
    assert key(one) == key(deepcopy(one))
    assert (key(one) == key(other)) == (one == other)
    alike = type(one) is type(other) and list(one.prompt) == list(other.prompt)
    assert (prompt_bytes(one) == prompt_bytes(other)) == alike


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
