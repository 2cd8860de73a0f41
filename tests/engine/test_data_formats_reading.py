"""What is read from a row of each layout: the question and the answers that it means, and nothing else."""

from typing import Any

import pytest

from engine.data.formats import samples as of
from engine.data.formats.catalogue import CATALOGUE, VARIANTS, Entry
from engine.data.formats.format import Format
from engine.data.formats.table import FORMATS, format_named
from engine.data.rows.messages import ChatPreference, NoPair, RowError, TextPreference, flaw
from engine.data.rows.shapes import empty
from tests.engine.layout_rows import ASKED, BAD, GOOD, assistant, read, user

ALONE = [
    entry
    for entry in (*CATALOGUE.values(), *VARIANTS)
    if format_named(entry.format).join is None and not format_named(entry.format).refusal
]


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


@pytest.mark.parametrize(
    ("chosen", "rejected", "difference"),
    [
        ([ASKED, GOOD], [user("What colour is the sea?"), BAD], 'message 1: "…sky?" / "…sea?"'),
        ([ASKED, GOOD, ASKED, BAD], [ASKED, GOOD], "message 3 is in chosen alone"),
        ([ASKED, GOOD], [ASKED, GOOD, ASKED, BAD], "message 3 is in rejected alone"),
        (
            [ASKED, GOOD, ASKED, BAD],
            [ASKED, BAD, ASKED, GOOD],
            'message 2: "It is blue b…" / "Green, I thi…"',
        ),
        ([{"role": "system", "content": "x"}, ASKED, GOOD], [ASKED, GOOD], "message 1: system / user"),
        ([ASKED, GOOD], [{**ASKED, "name": "Ann"}, BAD], "message 1: what it holds besides its text"),
    ],
)
def test_conversations_that_part_before_the_last_question_are_no_pair(
    chosen: list[Any], rejected: list[Any], difference: str
) -> None:
    with pytest.raises(NoPair) as caught:
        read("trl-conversational-implicit", chosen=chosen, rejected=rejected)
    assert (caught.value.reason, caught.value.detail) == ("histories_differ", difference)


def test_conversations_of_which_one_begins_the_other_and_asks_no_more_are_a_pair() -> None:
    called = [
        {"role": "assistant", "content": "", "tool_calls": [of.CALL]},
        {"role": "tool", "content": "Sun."},
    ]
    preference = read(
        "trl-conversational-implicit", chosen=[ASKED, *called, GOOD], rejected=[ASKED, called[0]]
    )
    assert preference.prompt == [ASKED]
    assert [turn["role"] for turn in preference.chosen] == ["assistant", "tool", "assistant"]
    assert [turn["role"] for turn in preference.rejected] == ["assistant"]


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


def test_text_is_a_chat_where_the_format_says_so_by_name() -> None:
    row = {"prompt": "q", "chosen": "a", "rejected": "b"}
    assert read("trl-explicit", **row) == TextPreference("q", "a", "b")
    assert read("prompt-pairs", **row) == ChatPreference([user("q")], [assistant("a")], [assistant("b")])  # type: ignore[list-item]


@pytest.mark.parametrize("name", ["system", "system_prompt"])
def test_a_system_message_has_two_names(name: str) -> None:
    row = {"prompt": "q", "chosen": "a", "rejected": "b", name: "Be brief."}
    assert read("prompt-pairs", **row).prompt == [{"role": "system", "content": "Be brief."}, user("q")]


def test_earlier_turns_come_before_the_question() -> None:
    history = [["Hi", "Hello."], ["Who?", "Me."]]
    row = {"instruction": "Then", "input": "go", "history": history, "chosen": "a", "rejected": "b"}
    prompt = read("alpaca-ranking", **row).prompt
    assert [turn["content"] for turn in prompt] == ["Hi", "Hello.", "Who?", "Me.", "Then\ngo"]


def test_of_several_ranks_the_best_and_the_worst_make_the_pair() -> None:
    answers = [{"answer": name, "rank": rank} for name, rank in (("mid", 2), ("worst", 3.0), ("best", "1"))]
    preference = read("nectar", prompt="\n\nHuman: q\n\nAssistant: ", answers=answers)
    assert (preference.chosen, preference.rejected) == ([assistant("best")], [assistant("worst")])


def test_of_several_completions_the_lowest_rank_is_trained_against_the_highest() -> None:
    ranked = [(2, "worst"), (0, "best"), (1, "mid")]
    completions = [{"rank": rank, "completion": [assistant(name)]} for rank, name in ranked]
    context = [user("Hi"), assistant("Yes?"), ASKED]
    preference = read("nemo-rl", context=context, completions=completions)
    assert preference == ChatPreference(context, [assistant("best")], [assistant("worst")])  # type: ignore[list-item,arg-type]


@pytest.mark.parametrize("ranks", [(1, 1), (2, 2.0), ("1", 1)])
def test_equal_ranks_are_a_tie(ranks: tuple[object, object]) -> None:
    answers = [{"answer": "a", "rank": rank} for rank in ranks]
    completions = [{"completion": "a", "rank": rank} for rank in ranks]
    for layout, row in (
        ("nectar", {"prompt": "q", "answers": answers}),
        ("nemo-rl", {"context": "q", "completions": completions}),
    ):
        with pytest.raises(NoPair) as caught:
            read(layout, **row)
        assert caught.value.reason == "tie"


def test_a_row_that_its_data_set_calls_a_tie_is_none() -> None:
    with pytest.raises(NoPair) as caught:
        read("question-pairs", system="", input="q", chosen="a", rejected="b", status="tie")
    assert caught.value.reason == "tie"


@pytest.mark.parametrize(("preference", "better"), [(-2, "first"), (1, "second"), (0, None)])
def test_an_overall_preference_names_the_better_of_two_responses(preference: int, better: str | None) -> None:
    row = {"context": [ASKED], "response1": "first", "response2": "second", "overall_preference": preference}
    if better is None:
        with pytest.raises(NoPair):
            read("helpsteer3", **row)
    else:
        assert read("helpsteer3", **row).chosen == [assistant(better)]


@pytest.mark.parametrize("layout", FORMATS, ids=lambda layout: layout.name)
def test_a_row_that_holds_nothing_is_refused_by_every_layout(layout: Format) -> None:
    if layout.join is None:
        with pytest.raises(RowError):
            layout.preference({})
