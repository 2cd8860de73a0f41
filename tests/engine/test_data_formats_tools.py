"""Tools and their calls in rows, what a row may hand to the template, and the nulls of tables; pictures are refused."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.config.schema import Source
from engine.data.files.sources import read_rows
from engine.data.formats import samples as of
from engine.data.formats.catalogue import CATALOGUE
from engine.data.formats.detect import detect
from engine.data.formats.table import format_named
from engine.data.rows.messages import RowError
from engine.exits import UnusableError
from tests.engine.layout_rows import ASKED, BAD, GOOD, read, user

ROW = {"prompt": [ASKED], "chosen": [GOOD], "rejected": [BAD]}


def calling(arguments: object, name: str = "weather") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": function}]}


def called(turn: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The name and arguments of each call of a message."""
    return [(call["function"]["name"], call["function"]["arguments"]) for call in turn["tool_calls"]]


# Calls


@pytest.mark.parametrize("arguments", [{"town": "Oslo"}, '{"town": "Oslo"}', {"town": "Oslo", "day": None}])
def test_arguments_of_a_call_come_out_as_an_object(arguments: object) -> None:
    preference = read("trl-conversational", prompt=[ASKED], chosen=[calling(arguments)], rejected=[BAD])
    assert preference.chosen[0]["content"] == ""
    assert preference.chosen[0]["tool_calls"] == [of.CALL]


@pytest.mark.parametrize("arguments", [None, "", "{}", {}])
def test_a_call_without_arguments_has_none(arguments: object) -> None:
    preference = read("trl-conversational", prompt=[ASKED], chosen=[calling(arguments)], rejected=[BAD])
    assert called(preference.chosen[0]) == [("weather", {})]


def test_the_id_of_a_call_and_the_answer_to_it_are_kept() -> None:
    call = {"id": "c1", **of.CALL}
    prompt = [
        ASKED,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "12 degrees", "tool_call_id": "c1", "name": "weather"},
    ]
    preference = read("trl-conversational", prompt=prompt, chosen=[GOOD], rejected=[BAD])
    assert preference.prompt[1]["tool_calls"] == [call]
    assert preference.prompt[2] == prompt[2]


def test_calls_as_turns_of_their_own_become_one_turn_with_all_of_them() -> None:
    calls = [json.dumps({"name": name, "arguments": {"town": "Oslo"}}) for name in ("weather", "time")]
    preference = read(
        "sharegpt-ranking",
        conversations=[
            {"from": "human", "value": "Oslo?"},
            *({"from": "function_call", "value": call} for call in calls),
            {"from": "observation", "value": "12 degrees"},
        ],
        chosen={"from": "gpt", "value": "a"},
        rejected={"from": "gpt", "value": "b"},
    )
    assert [turn["role"] for turn in preference.prompt] == ["user", "assistant", "tool"]
    assert called(preference.prompt[1]) == [("weather", {"town": "Oslo"}), ("time", {"town": "Oslo"})]


def test_two_answers_that_are_calls_are_a_pair() -> None:
    output = {
        "preferred_output": [calling('{"town": "Oslo"}')],
        "non_preferred_output": [calling("{}", "time")],
    }
    preference = read("openai", input={"messages": [ASKED], "tools": of.OFFERED}, **output)
    assert preference.tools == of.OFFERED
    assert called(preference.chosen[0]) == [("weather", {"town": "Oslo"})]
    assert called(preference.rejected[0]) == [("time", {})]


@pytest.mark.parametrize(
    ("calls", "problem"),
    [
        ([{"name": 3}], "the call of a tool has no name"),
        ([None], "the call of a tool has no name"),
        ("{", "tool_calls is no valid JSON"),
        ([{"name": "f", "arguments": "[1]"}], "the arguments of the call of `f` are a list"),
        ([{"name": "f", "arguments": "{"}], "the text of a call's arguments is no valid JSON"),
        ({"name": "f"}, "`tool_calls` is an object: expected a list"),
    ],
)
def test_a_call_that_is_none_is_refused(calls: object, problem: str) -> None:
    turn = {"role": "assistant", "content": "", "tool_calls": calls}
    with pytest.raises(RowError, match=problem):
        read("trl-conversational", prompt=[ASKED], chosen=[turn], rejected=[BAD])


# What is offered


@pytest.mark.parametrize(
    "given", [of.OFFERED, json.dumps(of.OFFERED), [json.dumps(of.WEATHER)], of.TOOLS_AS_TEXT, [of.WEATHER]]
)
def test_tools_come_out_as_schemas_however_they_are_written(given: object) -> None:
    assert read("trl-conversational", **ROW, tools=given).tools == of.OFFERED


@pytest.mark.parametrize("given", [None, [], "", "[]"])
def test_no_tools_are_none(given: object) -> None:
    assert read("trl-conversational", **ROW, tools=given).tools is None


@pytest.mark.parametrize("given", ["weather", "[3]", ["weather"], [{}], '[["f"]]'])
def test_tools_that_are_none_are_refused(given: object) -> None:
    with pytest.raises(RowError, match="tools`"):
        read("trl-conversational", **ROW, tools=given)


def test_sides_that_are_offered_different_tools_are_refused() -> None:
    row = {"messages": of.RIGHT, "rejected_messages": of.WRONG, "tools": of.OFFERED}
    assert read("swift-messages", **row, rejected_tools=of.TOOLS_AS_TEXT).tools == of.OFFERED
    with pytest.raises(RowError, match="`rejected_tools` differ from `tools`"):
        read("swift-messages", **row, rejected_tools=[{**of.WEATHER, "name": "time"}])


def test_what_training_decides_no_row_may_say() -> None:
    with pytest.raises(RowError, match="names `add_generation_prompt`, which is decided for all rows alike"):
        read("trl-conversational", **ROW, chat_template_kwargs={"add_generation_prompt": True})


# Tables


def test_null_tool_calls_as_tables_have_them_are_none() -> None:
    silent = {**GOOD, "tool_calls": None, "name": None}
    assert read("trl-conversational", prompt=[ASKED], chosen=[silent], rejected=[BAD]).chosen == [GOOD]


def test_the_nulls_that_parquet_puts_where_a_row_lacks_a_key_change_nothing(tmp_path: Path) -> None:
    time = {"name": "time", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}}
    rows: list[Any] = [
        dict(CATALOGUE[5].sample),
        {
            **ROW,
            "tools": [{"type": "function", "function": time}],
            "chosen": [calling({"zone": "UTC"}, "time")],
        },
        {**ROW, "chosen": [{**GOOD, "name": "sky", "reasoning_content": "By day."}]},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pairs.parquet")
    source = Source(source="local", path=str(tmp_path / "pairs.parquet"))
    stored = [row.fields for row in read_rows(source)]
    assert "name" in stored[0]["chosen"][0]  # as a null: the table has one type for all rows
    layout = detect(stored, "pairs.parquet")
    assert layout.name == "trl-conversational"
    assert list(map(layout.preference, stored)) == list(map(layout.preference, rows))


# Pictures


@pytest.mark.parametrize(
    "column", ["images", "image", "videos", "video", "audios", "audio", "rejected_images"]
)
@pytest.mark.parametrize("number", [1, 3, 10, 14, 15, 17, 23, 29])
def test_rows_with_pictures_films_or_sound_are_refused_with_a_way_out(column: str, number: int) -> None:
    row = {**CATALOGUE[number].sample, column: ["sky.png"]}
    with pytest.raises(UnusableError, match=r"only text can be trained on.*`columns`"):
        detect([row], "pairs.jsonl")


def test_the_layout_of_pictures_reads_no_row() -> None:
    with pytest.raises(RowError, match="name the columns of text in `columns`"):
        format_named("vision").preference(of.VISION)


@pytest.mark.parametrize("kind", ["image", "image_url", "input_audio", "video"])
def test_a_part_of_a_message_that_is_no_text_is_refused(kind: str) -> None:
    parts = [{"type": kind, kind: {"url": "x"}}, {"type": "text", "text": "What?"}]
    with pytest.raises(RowError, match=f'"{kind}", and only text can be trained on'):
        read("trl-conversational", prompt=[{"role": "user", "content": parts}], chosen=[GOOD], rejected=[BAD])


def test_parts_of_a_message_that_are_text_are_joined() -> None:
    parts = [{"type": "text", "text": "What "}, {"type": "input_text", "text": "colour"}, "?"]
    preference = read(
        "trl-conversational", prompt=[{"role": "user", "content": parts}], chosen=[GOOD], rejected=[BAD]
    )
    assert preference.prompt == [user("What colour?")]
