"""The layouts: each sample is told apart from all others, and wrong rows say what is wrong."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.formats import FORMATS, Format, detect, format_named
from engine.data.messages import ChatPreference, RowError, TextPreference, flaw, split_texts
from engine.exits import UnusableError, UsageError

ASKED = {"role": "user", "content": "What colour is the sky?"}
GOOD = {"role": "assistant", "content": "It is blue by day."}
BAD = {"role": "assistant", "content": "Green, I think."}


def read(name: str, **fields: Any) -> Any:
    return format_named(name).preference(fields)


@pytest.mark.parametrize("layout", FORMATS, ids=lambda layout: layout.name)
def test_every_sample_is_detected_as_its_format_and_no_other(layout: Format) -> None:
    assert [entry.name for entry in FORMATS if entry.matches(layout.sample)] == [layout.name]
    assert detect([layout.sample] * 3, "pairs.jsonl") is layout


@pytest.mark.parametrize("layout", FORMATS, ids=lambda layout: layout.name)
def test_every_sample_reads_as_the_same_question_and_answers(layout: Format) -> None:
    preference = layout.preference(layout.sample)
    assert flaw(preference) is None
    if isinstance(preference, ChatPreference):
        assert preference == ChatPreference([ASKED], [GOOD], [BAD])  # type: ignore[list-item]
    else:
        assert preference == TextPreference("The sky is", " blue.", " green.")


def test_a_broken_row_among_good_ones_does_not_hide_the_format() -> None:
    rows = [{"prompt": "a", "chosen": "b", "rejected": None}] + [
        {"prompt": "a", "chosen": "b", "rejected": "c"}
    ] * 3
    assert detect(rows, "pairs.jsonl").name == "trl-explicit"


def test_the_only_format_that_fits_any_row_is_taken_however_many_do_not() -> None:
    rows = [{"prompt": "a", "chosen": "b"}] * 3 + [{"prompt": "a", "chosen": "b", "rejected": "c"}]
    assert detect(rows, "pairs.jsonl").name == "trl-explicit"


def test_unknown_columns_are_listed_with_the_layouts_known() -> None:
    with pytest.raises(UnusableError) as caught:
        detect([{"query": "a", "good": "b", "score": 3}], "pairs.jsonl")
    for part in ("pairs.jsonl", "query (text)", "score (a number)", "trl-explicit: prompt, chosen, rejected"):
        assert part in str(caught.value)


@pytest.mark.parametrize("extra", ["system", "question", "instruction", "messages"])
def test_a_prompt_column_that_the_layout_would_ignore_prevents_its_detection(extra: str) -> None:
    with pytest.raises(UnusableError, match=extra):
        detect([{extra: "Be kind.", "chosen": "yes", "rejected": "no"}], "pairs.jsonl")


def test_two_layouts_in_one_file_are_named_with_the_way_out() -> None:
    rows = [FORMATS[0].sample, FORMATS[2].sample]
    with pytest.raises(
        UnusableError, match=r'trl-explicit .* and trl-conversational .* format = "trl-explicit"'
    ):
        detect(rows, "pairs.jsonl")


def test_a_misspelt_format_brings_the_nearest_name() -> None:
    with pytest.raises(UsageError, match='Did you mean "trl-implicit"'):
        format_named("trl-implict")
    with pytest.raises(UsageError, match="Known: auto, trl-explicit"):
        format_named("zzz")


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
    with pytest.raises(
        RowError, match="`chosen` is a list whose item 2 is an object whose `content` is null"
    ):
        read(
            "trl-conversational",
            prompt=[ASKED],
            chosen=[GOOD, {"role": "user", "content": None}],
            rejected=[BAD],
        )


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
    assert preference.rejected == [{"role": "assistant", "content": "No"}]


def test_an_unknown_role_and_tool_calls_are_refused() -> None:
    with pytest.raises(RowError, match='role "wizard" is not known'):
        read("trl-conversational", prompt=[{"role": "wizard", "content": "x"}], chosen=[GOOD], rejected=[BAD])
    calling = {**GOOD, "tool_calls": [{"name": "f"}]}
    with pytest.raises(RowError, match="tool_calls"):
        read("trl-conversational", prompt=[ASKED], chosen=[calling], rejected=[BAD])


def test_null_tool_calls_as_tables_have_them_are_fine() -> None:
    assert read(
        "trl-conversational", prompt=[ASKED], chosen=[{**GOOD, "tool_calls": None}], rejected=[BAD]
    ).chosen == [GOOD]


def test_completions_that_repeat_the_prompt_lose_it() -> None:
    preference = read("trl-conversational", prompt=[ASKED], chosen=[ASKED, GOOD], rejected=[ASKED, BAD])
    assert preference == ChatPreference([ASKED], [GOOD], [BAD])  # type: ignore[list-item]


def test_a_conversation_that_is_the_beginning_of_the_other_keeps_its_last_message() -> None:
    more = [ASKED, GOOD, ASKED, BAD]
    preference = read("trl-conversational-implicit", chosen=more, rejected=[ASKED, GOOD])
    assert (preference.prompt, preference.chosen, preference.rejected) == ([ASKED], more[1:], [GOOD])


@pytest.mark.parametrize(
    ("chosen", "rejected", "prompt"),
    [
        ("The sky is blue.", "The sky is black.", "The sky is"),
        ("Q: a? A: yes", "Q: a? A: yes sir", "Q: a? A:"),
        ("Hello there", "Hello, friend", "Hello"),
        ("one\ntwo", "one\nthree", "one\n"),
        ("abc", "abd", ""),
        ("问:好吗?我很好", "问:好吗?我不好", "问:好吗?"),
    ],
)
def test_the_implicit_prompt_ends_between_words(chosen: str, rejected: str, prompt: str) -> None:
    assert split_texts(chosen, rejected).prompt == prompt


@given(st.text(" ab.\n", max_size=12), st.text(" ab.\n", max_size=12))
def test_the_implicit_prompt_loses_nothing_and_leaves_both_something(chosen: str, rejected: str) -> None:
    parts = split_texts(chosen, rejected)
    assert (parts.prompt + parts.chosen, parts.prompt + parts.rejected) == (chosen, rejected)
    assert (parts.chosen and parts.rejected) or not (chosen and rejected)


@pytest.mark.parametrize(
    ("preference", "reason"),
    [
        (TextPreference("a", " ", "b"), "empty_chosen"),
        (TextPreference("a", "b", ""), "empty_rejected"),
        (TextPreference("a", "b", "b"), "equal"),
        (TextPreference("", "b", "c"), "no_prompt"),
        (ChatPreference([], [GOOD], [BAD]), "no_prompt"),  # type: ignore[list-item]
        (ChatPreference([ASKED], [], [BAD]), "empty_chosen"),  # type: ignore[list-item]
        (ChatPreference([ASKED], [ASKED, GOOD], [BAD]), "prompts_differ"),  # type: ignore[list-item]
        (ChatPreference([ASKED], [GOOD, ASKED], [BAD]), "not_assistant"),  # type: ignore[list-item]
        (ChatPreference([ASKED], [GOOD], [BAD]), None),  # type: ignore[list-item]
    ],
)
def test_what_cannot_teach_has_a_reason(preference: Any, reason: str | None) -> None:
    assert flaw(preference) == reason
