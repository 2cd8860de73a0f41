"""What is read from a row of each layout: the question and the answers that it means, and nothing else."""

import json
from typing import Any

import pytest

from engine.data.formats import samples as of
from engine.data.formats.catalogue import CATALOGUE, VARIANTS, Entry
from engine.data.formats.format import Format
from engine.data.formats.scores import SCORE_PAIRS, margin
from engine.data.formats.table import FORMATS, format_named
from engine.data.messages import ChatPreference, NoPair, RowError, TextPreference, flaw
from engine.data.shapes import empty

ASKED = {"role": "user", "content": of.QUESTION}
GOOD = {"role": "assistant", "content": of.GOOD}
BAD = {"role": "assistant", "content": of.BAD}
ALONE = [
    entry
    for entry in (*CATALOGUE.values(), *VARIANTS)
    if format_named(entry.format).join is None and not format_named(entry.format).refusal
]


def read(layout: str, /, **fields: Any) -> Any:
    return format_named(layout).preference(fields)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


@pytest.mark.parametrize("entry", ALONE, ids=[entry.found for entry in ALONE])
def test_every_row_of_the_survey_reads_as_its_question_and_answers(entry: Entry) -> None:
    preference = format_named(entry.format).preference(entry.sample)
    assert flaw(preference) is None
    if isinstance(preference, TextPreference):
        assert preference == TextPreference("The sky is", " blue.", " green.")
    elif entry.sample.get("tools"):
        assert [turn["content"] for turn in preference.prompt] == ["How is the weather in Oslo?"]
        assert preference.tools == of.OFFERED
        assert preference.chosen[0].get("tool_calls") == [of.CALL]
        assert preference.template_kwargs == {"enable_thinking": False}
    else:
        system = entry.sample.get("system")
        before = [] if empty(system) else [{"role": "system", "content": system}]
        assert preference.prompt == [*before, ASKED]
        assert (preference.chosen, preference.rejected) == ([GOOD], [BAD])


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"prompt": "a", "chosen": "b"}, "`rejected` is missing: expected text"),
        ({"prompt": "a", "chosen": None, "rejected": "c"}, "`chosen` is null: expected text"),
        ({"prompt": "a", "chosen": 3, "rejected": "c"}, "`chosen` is a number: expected text"),
        ({"prompt": ["a"], "chosen": "b", "rejected": "c"}, "`prompt` is a list: expected text"),
    ],
)
def test_a_wrong_column_is_named_with_what_was_expected(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(RowError) as caught:
        format_named("trl-explicit").preference(fields)
    assert problem in str(caught.value)


def test_a_wrong_message_is_named_by_its_number() -> None:
    silent = {"role": "user", "content": None}
    with pytest.raises(
        RowError, match="`chosen` is a list whose item 2 is an object whose `content` is null"
    ):
        read("trl-conversational", prompt=[ASKED], chosen=[GOOD, silent], rejected=[BAD])


def test_roles_come_out_in_the_usual_words() -> None:
    preference = read(
        "sharegpt-ranking",
        system="Be kind.",
        conversations=[
            {"from": "Human", "value": "Hi"},
            {"from": "gpt", "value": "Yes?"},
            {"from": "user", "value": "Go"},
        ],
        chosen={"from": "gpt", "value": "Gone"},
        rejected={"from": "assistant", "value": "No"},
    )
    assert [turn["role"] for turn in preference.prompt] == ["system", "user", "assistant", "user"]
    assert preference.rejected == [assistant("No")]


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(RowError, match='role "wizard" is not known'):
        read("trl-conversational", prompt=[{"role": "wizard", "content": "x"}], chosen=[GOOD], rejected=[BAD])


def test_completions_that_repeat_the_prompt_lose_it() -> None:
    preference = read("trl-conversational", prompt=[ASKED], chosen=[ASKED, GOOD], rejected=[ASKED, BAD])
    assert preference == ChatPreference([ASKED], [GOOD], [BAD])  # type: ignore[list-item]


def test_a_conversation_that_is_the_beginning_of_the_other_keeps_its_last_message() -> None:
    more = [ASKED, GOOD, ASKED, BAD]
    preference = read("trl-conversational-implicit", chosen=more, rejected=[ASKED, GOOD])
    assert (preference.prompt, preference.chosen, preference.rejected) == ([ASKED], more[1:], [GOOD])


def test_completions_of_several_turns_are_kept_whole() -> None:
    chosen = [assistant("Which?"), user("The second."), assistant("Done.")]
    preference = read("trl-conversational", prompt=[ASKED], chosen=chosen, rejected=[BAD])
    assert preference.chosen == chosen
    assert flaw(preference) is None


@pytest.mark.parametrize("layout", ["prompt-pairs", "alpaca-ranking", "trl-conversational", "openai"])
def test_a_system_message_comes_first_and_only_once(layout: str) -> None:
    rows: dict[str, dict[str, Any]] = {
        "prompt-pairs": {"system": "Be brief.", "prompt": "Hi", "chosen": "a", "rejected": "b"},
        "alpaca-ranking": {"system": "Be brief.", "instruction": "Hi", "chosen": "a", "rejected": "b"},
        "trl-conversational": {
            "system": "Not this.",
            "prompt": [{"role": "system", "content": "Be brief."}, user("Hi")],
            "chosen": [assistant("a")],
            "rejected": [assistant("b")],
        },
        "openai": {
            "input": {"messages": [{"role": "developer", "content": "Be brief."}, user("Hi")]},
            "preferred_output": [assistant("a")],
            "non_preferred_output": [assistant("b")],
        },
    }
    preference = read(layout, **rows[layout])
    assert preference.prompt == [{"role": "system", "content": "Be brief."}, user("Hi")]


def test_earlier_turns_come_before_the_question() -> None:
    history = [["Hi", "Hello."], ["Who?", "Me."]]
    row = {"instruction": "Then", "input": "go", "history": history, "chosen": "a", "rejected": "b"}
    prompt = read("alpaca-ranking", **row).prompt
    assert [turn["content"] for turn in prompt] == ["Hi", "Hello.", "Who?", "Me.", "Then\ngo"]


def test_of_several_ranks_the_best_and_the_worst_make_the_pair() -> None:
    answers = [{"answer": name, "rank": rank} for name, rank in (("mid", 2), ("worst", 3.0), ("best", "1"))]
    preference = read("nectar", prompt="\n\nHuman: q\n\nAssistant: ", answers=answers)
    assert (preference.chosen, preference.rejected) == ([assistant("best")], [assistant("worst")])


def test_equal_ranks_are_a_tie() -> None:
    answers = [{"answer": name, "rank": 1} for name in ("a", "b")]
    with pytest.raises(NoPair) as caught:
        read("nectar", prompt="\n\nHuman: q\n\nAssistant: ", answers=answers)
    assert caught.value.reason == "tie"


@pytest.mark.parametrize(("preference", "better"), [(-2, "first"), (1, "second"), (0, None)])
def test_an_overall_preference_names_the_better_of_two_responses(preference: int, better: str | None) -> None:
    row = {"context": [ASKED], "response1": "first", "response2": "second", "overall_preference": preference}
    if better is None:
        with pytest.raises(NoPair):
            read("helpsteer3", **row)
    else:
        assert read("helpsteer3", **row).chosen == [assistant(better)]


# Transcripts


def test_a_transcript_of_several_turns_becomes_a_chat() -> None:
    opening = "\n\nHuman: Hi\n\nAssistant: Hello.\nHow are you?\n\nHuman: Fine: you?\n\nAssistant:"
    preference = read("hh-rlhf", chosen=f"{opening} Well.", rejected=f"{opening} Human: bad.")
    assert [turn["role"] for turn in preference.prompt] == ["user", "assistant", "user"]
    assert preference.prompt[1]["content"] == "Hello.\nHow are you?"
    assert (preference.chosen, preference.rejected) == ([assistant("Well.")], [assistant("Human: bad.")])


def test_transcripts_that_part_early_keep_all_their_turns() -> None:
    chosen = "\n\nHuman: q\n\nAssistant: a\n\nHuman: more\n\nAssistant: b"
    preference = read("hh-rlhf", chosen=chosen, rejected="\n\nHuman: q\n\nAssistant: c")
    assert [turn["content"] for turn in preference.chosen] == ["a", "more", "b"]
    assert preference.rejected == [assistant("c")]


def test_a_transcript_that_is_none_is_refused_with_its_beginning() -> None:
    with pytest.raises(RowError, match='a dialogue begins with "Once upon'):
        read("hh-rlhf", chosen="\n\nHuman: q\n\nAssistant: a", rejected="Once upon a time")


def test_a_transcript_that_ends_in_an_empty_answer_is_dropped_as_empty() -> None:
    opening = "\n\nHuman: q\n\nAssistant:"
    assert flaw(read("hh-rlhf", chosen=opening, rejected=f"{opening} a")) == "empty_chosen"


# Tools


def calling(arguments: object) -> dict[str, Any]:
    function = {"name": "weather", "arguments": arguments}
    return {"role": "assistant", "content": None, "tool_calls": [{"type": "function", "function": function}]}


@pytest.mark.parametrize("arguments", [{"town": "Oslo"}, '{"town": "Oslo"}', {"town": "Oslo", "day": None}])
def test_arguments_of_a_call_come_out_as_an_object(arguments: object) -> None:
    preference = read("trl-conversational", prompt=[ASKED], chosen=[calling(arguments)], rejected=[BAD])
    assert preference.chosen[0]["content"] == ""
    assert preference.chosen[0]["tool_calls"] == [of.CALL]


@pytest.mark.parametrize(
    "given", [of.OFFERED, json.dumps(of.OFFERED), [json.dumps(of.WEATHER)], of.TOOLS_AS_TEXT]
)
def test_tools_come_out_as_schemas_however_they_are_written(given: object) -> None:
    row = {"prompt": [ASKED], "chosen": [GOOD], "rejected": [BAD], "tools": given}
    assert read("trl-conversational", **row).tools == of.OFFERED


@pytest.mark.parametrize(
    ("calls", "problem"),
    [
        ([{"name": 3}], "the call of a tool has no name"),
        ("{", "tool_calls is no valid JSON"),
        ([{"name": "f", "arguments": "[1]"}], "the arguments of the call of `f` are a list"),
        ({"name": "f"}, "`tool_calls` is an object: expected a list"),
    ],
)
def test_a_call_that_is_none_is_refused(calls: object, problem: str) -> None:
    turn = {"role": "assistant", "content": "", "tool_calls": calls}
    with pytest.raises(RowError, match=problem):
        read("trl-conversational", prompt=[ASKED], chosen=[turn], rejected=[BAD])


def test_null_tool_calls_as_tables_have_them_are_none() -> None:
    silent = {**GOOD, "tool_calls": None, "name": None}
    assert read("trl-conversational", prompt=[ASKED], chosen=[silent], rejected=[BAD]).chosen == [GOOD]


def test_what_training_decides_no_row_may_say() -> None:
    row = {"prompt": [ASKED], "chosen": [GOOD], "rejected": [BAD]}
    with pytest.raises(RowError, match="names `add_generation_prompt`, which is decided for all rows alike"):
        read("trl-conversational", **row, chat_template_kwargs={"add_generation_prompt": True})


def test_pictures_are_refused_with_a_way_out() -> None:
    with pytest.raises(RowError, match="name the columns of text in `columns`"):
        format_named("vision").preference(of.VISION)
    parts = [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "What?"}]
    with pytest.raises(RowError, match="only text can be trained on"):
        read("trl-conversational", prompt=[{"role": "user", "content": parts}], chosen=[GOOD], rejected=[BAD])


# Scores


@pytest.mark.parametrize(("chosen", "rejected"), SCORE_PAIRS)
def test_a_margin_is_the_difference_of_the_scores(chosen: str, rejected: str) -> None:
    assert margin({chosen: 8.5, rejected: "3"}) == 5.5
    assert margin({chosen: 8.5, rejected: None}) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"margin": 0.25}, 0.25),
        ({"rating": [2.0, 9.0], "generations": ["a", "b"], "chosen": "b"}, 7.0),
        ({"rating": [2.0, 9.0], "chosen_score": 9.0}, 7.0),
        ({"overall_preference": -2}, 2.0),
        ({"margin": "high"}, None),
        ({}, None),
    ],
)
def test_a_margin_is_read_in_other_ways_too(fields: dict[str, Any], expected: float | None) -> None:
    assert margin(fields) == expected


@pytest.mark.parametrize("layout", FORMATS, ids=lambda layout: layout.name)
def test_a_row_that_holds_nothing_is_refused_by_every_layout(layout: Format) -> None:
    if layout.join is None:
        with pytest.raises(RowError):
            layout.preference({})
