"""Layouts whose rows make a pair only together: one completion a row, and rows that go on from one another."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.data.files.sources import Row
from engine.data.formats.table import format_named
from engine.data.rows.messages import ChatPreference, NoPair, Preference, RowError, TextPreference

Outcome = Preference | str


def joined(layout: str, rows: Iterable[Mapping[str, Any]], scratch: Path) -> list[tuple[int, Outcome]]:
    """Each row that comes out of the join, by its number, with what is read from it or why nothing is."""
    entry = format_named(layout)
    assert entry.join is not None
    numbered = (Row("pairs.jsonl", number, True, dict(row)) for number, row in enumerate(rows, 1))
    return [(row.number, outcome(layout, row.fields)) for row in entry.join(numbered, scratch)]


def outcome(layout: str, fields: Mapping[str, Any]) -> Outcome:
    try:
        return format_named(layout).preference(fields)
    except NoPair as none:
        return none.reason
    except RowError as error:
        return str(error)


def labelled(prompt: str, completion: str, label: object) -> dict[str, Any]:
    return {"prompt": prompt, "completion": completion, "label": label}


# One completion a row


def test_good_and_bad_completions_of_a_prompt_are_paired_in_order(tmp_path: Path) -> None:
    rows = [
        labelled("p", " a", True),
        labelled("q", " b", False),
        labelled("p", " c", True),
        labelled("p", " d", False),
        labelled("q", " e", True),
        labelled("p", " f", False),
        labelled("p", " g", False),
    ]
    assert joined("trl-unpaired", rows, tmp_path) == [
        (4, TextPreference("p", " a", " d")),
        (5, TextPreference("q", " e", " b")),
        (6, TextPreference("p", " c", " f")),
        (7, "unpaired"),
    ]


@pytest.mark.parametrize(("good", "bad"), [(True, False), (1, 0), ("true", "false"), ("1", "0"), (1.0, 0.0)])
def test_labels_are_read_in_all_their_spellings(tmp_path: Path, good: object, bad: object) -> None:
    rows = [labelled("p", " a", bad), labelled("p", " b", good)]
    assert joined("trl-unpaired", rows, tmp_path) == [(2, TextPreference("p", " b", " a"))]


def test_whole_conversations_are_paired_by_what_comes_before_the_last_answer(tmp_path: Path) -> None:
    def talk(answer: str, label: bool) -> dict[str, Any]:
        turns = [("user", "Hi"), ("assistant", "Yes?"), ("user", "Sky?"), ("assistant", answer)]
        return {"messages": [{"role": role, "content": text} for role, text in turns], "label": label}

    ((number, preference),) = joined(
        "labelled-messages", [talk("Blue.", True), talk("Red.", False)], tmp_path
    )
    assert isinstance(preference, ChatPreference)
    assert number == 2
    assert [turn["content"] for turn in preference.prompt] == ["Hi", "Yes?", "Sky?"]
    assert (preference.chosen[0]["content"], preference.rejected[0]["content"]) == ("Blue.", "Red.")


def test_instructions_are_paired_with_their_input(tmp_path: Path) -> None:
    def row(more: str, output: str, label: bool) -> dict[str, Any]:
        return {"instruction": "Add", "input": more, "output": output, "kto_tag": label}

    rows = [row("1+1", "2", True), row("1+2", "4", False), row("1+1", "3", False)]
    outcomes = joined("alpaca-kto", rows, tmp_path)
    assert [number for number, _ in outcomes] == [3, 2]
    assert outcomes[1][1] == "unpaired"
    assert isinstance(outcomes[0][1], ChatPreference)
    assert outcomes[0][1].prompt == [{"role": "user", "content": "Add\n1+1"}]


@pytest.mark.parametrize(
    ("layout", "columns"),
    [
        ("alpaca-kto", ("question", "completion", "label")),
        ("alpaca-kto", ("query", "response", "label")),
        ("trl-unpaired", ("prompt", "completion", "label")),
    ],
)
def test_a_system_message_is_part_of_the_prompt_of_both_halves(
    tmp_path: Path, layout: str, columns: tuple[str, ...]
) -> None:
    told = [("Be brief.", "q", "a", True), ("Be kind.", "q", "b", False), ("Be brief.", "q", "c", False)]
    rows = [{"system": system, **dict(zip(columns, rest, strict=True))} for system, *rest in told]
    (number, preference), left_over = joined(layout, rows, tmp_path)
    assert left_over == (2, "unpaired")
    assert number == 3
    assert texts(preference) == ["Be brief.", "q"]


def test_completions_that_repeat_the_question_lose_it(tmp_path: Path) -> None:
    def row(answer: str, label: bool) -> dict[str, Any]:
        turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": answer}]
        return {"prompt": "q", "completion": turns, "label": label}

    ((_, preference),) = joined("trl-unpaired", [row("a", True), row("b", False)], tmp_path)
    assert texts(preference) == ["q"]
    assert isinstance(preference, ChatPreference)
    assert [turn["content"] for turn in (*preference.chosen, *preference.rejected)] == ["a", "b"]


def test_other_tools_are_another_prompt(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    tool = [{"type": "function", "function": {"name": "f"}}]
    rows = [{"messages": turns, "label": True}, {"messages": turns, "label": False, "tools": tool}]
    assert [what for _, what in joined("labelled-messages", rows, tmp_path)] == ["unpaired", "unpaired"]


def test_a_label_that_is_none_is_told_of_its_row(tmp_path: Path) -> None:
    rows = [labelled("p", " a", True), labelled("p", " b", "maybe")]
    assert joined("trl-unpaired", rows, tmp_path)[0] == (2, "`label` is text: expected true or false")


# Rows that go on from one another


def step(own: object, parent: object, chosen: str, rejected: str, **more: Any) -> dict[str, Any]:
    answers = {"chosen_response": chosen, "rejected_response": rejected}
    return {"instruction": f"q{own}", **answers, "id": own, "parent_id": parent, **more}


def texts(preference: Outcome) -> list[str]:
    assert isinstance(preference, ChatPreference), preference
    return [turn["content"] for turn in preference.prompt]


@pytest.mark.parametrize("ids", [("1", "2", "3"), (1, 2, 3), (1.0, 2.0, 3.0)])
def test_a_row_gets_the_turns_of_the_rows_before_it(tmp_path: Path, ids: tuple[object, ...]) -> None:
    first, second, third = ids
    rows = [step(third, second, "yes", "no"), step(first, None, "a", "a"), step(second, first, "b", "b")]
    ((number, preference),) = joined("chosen-response", rows, tmp_path)
    assert number == 1
    assert texts(preference) == [f"q{first}", "a", f"q{second}", "b", f"q{third}"]


def test_a_row_in_the_middle_whose_answers_differ_is_a_pair_of_its_own(tmp_path: Path) -> None:
    rows = [step("1", None, "a", "z"), step("2", "1", "b", "y")]
    outcomes = joined("chosen-response", rows, tmp_path)
    assert [(number, texts(what)) for number, what in outcomes] == [(1, ["q1"]), (2, ["q1", "a", "q2"])]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([step("2", "1", "a", "b")], "no row has the `id` that its `parent_id` names, 1"),
        ([step("1", "1", "a", "b")], "comes back to the row with `id` 1"),
        ([step("1", "2", "a", "b"), step("2", "1", "a", "b")], "comes back to the row"),
        ([step("1", None, "a", "a"), step("1", None, "a", "a"), step("2", "1", "a", "b")], "2 rows have"),
    ],
    ids=["missing", "itself", "circle", "twice"],
)
def test_a_chain_that_cannot_be_followed_is_told_of_its_row(
    tmp_path: Path, rows: list[dict[str, Any]], problem: str
) -> None:
    assert any(
        isinstance(what, str) and problem in what for _, what in joined("chosen-response", rows, tmp_path)
    )


def test_rows_without_marks_pass_at_once(tmp_path: Path) -> None:
    outcomes = joined(
        "chosen-response", [step(None, None, "a", "b"), step("", float("nan"), "a", "b")], tmp_path
    )
    assert [texts(what) for _, what in outcomes] == [["qNone"], ["q"]]
    assert list(tmp_path.iterdir()) == []
