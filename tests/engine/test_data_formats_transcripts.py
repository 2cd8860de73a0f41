"""Dialogues written as one text: their turns, however they are spaced, and what is no dialogue."""

from typing import Any

import pytest

from engine.data.formats.detect import detect
from engine.data.rows.messages import NoPair, RowError, flaw
from tests.engine.layout_rows import assistant, read, system, user


def test_a_dialogue_of_several_turns_becomes_a_chat() -> None:
    opening = "\n\nHuman: Hi\n\nAssistant: Hello.\nHow are you?\n\nHuman: Fine: you?\n\nAssistant:"
    preference = read("hh-rlhf", chosen=f"{opening} Well.", rejected=f"{opening} Human: bad.")
    assert preference.prompt == [user("Hi"), assistant("Hello.\nHow are you?"), user("Fine: you?")]
    assert (preference.chosen, preference.rejected) == ([assistant("Well.")], [assistant("Human: bad.")])


def test_dialogues_that_part_before_the_last_question_are_no_pair() -> None:
    chosen = "\n\nHuman: q\n\nAssistant: a\n\nHuman: more\n\nAssistant: b"
    with pytest.raises(NoPair) as caught:
        read("hh-rlhf", chosen=chosen, rejected="\n\nHuman: q\n\nAssistant: c")
    assert (caught.value.reason, caught.value.detail) == ("histories_differ", 'message 2: "a" / "c"')


def test_whole_texts_that_begin_differently_are_no_pair() -> None:
    with pytest.raises(NoPair) as caught:
        read("trl-implicit", chosen="The sky is blue.", rejected="A sky is green.")
    assert (caught.value.reason, caught.value.detail) == (
        "histories_differ",
        '"The sky is b…" / "A sky is gre…"',
    )


@pytest.mark.parametrize(
    "opening",
    [
        "Human: q\n\nAssistant:",
        "\n\nHuman:q\n\nAssistant:  ",
        " \n\n Human:\n q \n\n\n\nAssistant:",
        "\n\nHum: q\n\nAssistant: ",
    ],
)
def test_odd_spacing_and_short_names_of_speakers_make_no_difference(opening: str) -> None:
    preference = read("hh-rlhf", chosen=f"{opening}a", rejected=f"{opening}b")
    assert preference.prompt == [user("q")]
    assert (preference.chosen, preference.rejected) == ([assistant("a")], [assistant("b")])


def test_an_empty_turn_within_a_dialogue_stays_where_it_is() -> None:
    opening = "\n\nHuman: q\n\nAssistant:\n\nHuman: Well?\n\nAssistant:"
    preference = read("hh-rlhf", chosen=f"{opening} a", rejected=f"{opening} b")
    assert preference.prompt == [user("q"), assistant(""), user("Well?")]


def test_a_dialogue_that_ends_in_an_empty_answer_is_dropped_as_empty() -> None:
    opening = "\n\nHuman: q\n\nAssistant:"
    assert flaw(read("hh-rlhf", chosen=opening, rejected=f"{opening} a")) == "empty_chosen"
    assert flaw(read("hh-rlhf", chosen=f"{opening} a", rejected=opening)) == "empty_rejected"


def test_a_dialogue_that_ends_with_the_human_is_dropped() -> None:
    opening = "\n\nHuman: q\n\nAssistant: a"
    preference = read("hh-rlhf", chosen=f"{opening}\n\nHuman: Thanks.", rejected=f"{opening}b")
    assert flaw(preference) == "not_assistant"


@pytest.mark.parametrize(
    "row",
    [
        {"chosen": "{}\n\nHuman: q\n\nAssistant: a", "rejected": "{}\n\nHuman: q\n\nAssistant: b"},
        {"prompt": "{}\n\nHuman: q\n\nAssistant:", "chosen": " a", "rejected": " b"},
    ],
    ids=["whole", "prompt"],
)
@pytest.mark.parametrize("place", ["column", "text"])
def test_a_system_message_may_be_a_column_or_begin_the_text(row: dict[str, str], place: str) -> None:
    told = "System: Be brief." if place == "text" else ""
    fields: dict[str, Any] = {name: text.replace("{}", told) for name, text in row.items()}
    if place == "column":
        fields["system"] = "Be brief."
    assert detect([fields], "pairs.jsonl").name == "hh-rlhf"
    preference = read("hh-rlhf", **fields)
    assert preference.prompt == [system("Be brief."), user("q")]
    assert (preference.chosen, preference.rejected) == ([assistant("a")], [assistant("b")])


def test_a_system_named_later_in_a_dialogue_is_text() -> None:
    preference = read(
        "hh-rlhf",
        chosen="\n\nHuman: q\n\nAssistant: a\n\nSystem: none",
        rejected="\n\nHuman: q\n\nAssistant: b",
    )
    assert preference.chosen == [assistant("a\n\nSystem: none")]


def test_a_text_that_is_no_dialogue_is_refused_with_its_beginning() -> None:
    with pytest.raises(RowError, match='a dialogue begins with "Once upon'):
        read("hh-rlhf", chosen="\n\nHuman: q\n\nAssistant: a", rejected="Once upon a time")


@pytest.mark.parametrize("text", ["Human: who said this?", "The Human: a film\n\nAssistant: x", ""])
def test_text_in_which_nobody_answers_by_name_is_plain_text(text: str) -> None:
    row = {"prompt": text or "q", "chosen": f"{text} a", "rejected": f"{text} b"}
    assert detect([row], "pairs.jsonl").name == "trl-explicit"


def test_a_prompt_that_is_a_dialogue_is_asked_of_ranked_answers_by_its_turns() -> None:
    answers = [{"answer": " a", "rank": 1}, {"answer": "b", "rank": 2}]
    prompt = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: q\n\nAssistant: "
    preference = read("nectar", prompt=prompt, answers=answers)
    assert preference.prompt == [user("Hi"), assistant("Hello."), user("q")]
    assert (preference.chosen, preference.rejected) == ([assistant("a")], [assistant("b")])
