"""Which layout rows are in: 30 of the field told apart, and what is said when that cannot be."""

from typing import Any

import pytest

from engine.data.formats.catalogue import CATALOGUE, VARIANTS, Entry
from engine.data.formats.detect import detect
from engine.data.formats.format import Format
from engine.data.formats.table import FORMATS, format_named
from engine.exits import UnusableError, UsageError

LAYOUTS = [(number, entry) for number, entry in CATALOGUE.items()]
ENTRIES = [*CATALOGUE.values(), *VARIANTS]
TEXTS = {"chosen": "yes", "rejected": "no"}


def fitting(row: Any) -> list[str]:
    return [entry.name for entry in FORMATS if entry.matches(row)]


def as_in_a_table(row: Any, others: Any) -> dict[str, Any]:
    """A row as a table holds it beside rows with further columns: all keys, null where it had none."""
    return {**dict.fromkeys(others), **row}


def test_the_survey_has_thirty_layouts() -> None:
    assert list(CATALOGUE) == list(range(1, 31))


@pytest.mark.parametrize(("number", "entry"), LAYOUTS, ids=[entry.found for _, entry in LAYOUTS])
def test_each_layout_of_the_survey_is_detected_and_no_other_fits(number: int, entry: Entry) -> None:
    assert fitting(entry.sample) == [entry.format], number
    if format_named(entry.format).refusal:
        with pytest.raises(UnusableError, match="pictures, films or sound"):
            detect([entry.sample] * 3, "pairs.jsonl")
    else:
        assert detect([entry.sample] * 3, "pairs.jsonl").name == entry.format


@pytest.mark.parametrize("entry", VARIANTS, ids=[entry.found for entry in VARIANTS])
def test_each_further_data_set_is_detected_and_no_other_fits(entry: Entry) -> None:
    assert fitting(entry.sample) == [entry.format]


@pytest.mark.parametrize("layout", FORMATS, ids=lambda layout: layout.name)
def test_a_layouts_own_sample_fits_no_other(layout: Format) -> None:
    assert fitting(layout.sample) == [layout.name]


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.found for entry in ENTRIES])
def test_empty_columns_of_a_table_do_not_hide_a_layout(entry: Entry) -> None:
    row = as_in_a_table(entry.sample, ["notes", "tools", "history", "images", *entry.sample])
    assert fitting(row) == [entry.format]


def test_a_broken_row_among_good_ones_does_not_hide_the_format() -> None:
    rows = [{"prompt": "a", "chosen": "b", "rejected": None}] + [
        {"prompt": "a", "chosen": "b", "rejected": "c"}
    ] * 3
    assert detect(rows, "pairs.jsonl").name == "trl-explicit"


def test_the_only_format_that_fits_any_row_is_taken_however_many_do_not() -> None:
    rows = [{"prompt": "a", "chosen": "b"}] * 3 + [{"prompt": "a", "chosen": "b", "rejected": "c"}]
    assert detect(rows, "pairs.jsonl").name == "trl-explicit"


def test_unknown_columns_are_listed_with_the_nearest_layouts_and_a_line_to_write() -> None:
    with pytest.raises(UnusableError) as caught:
        detect([{"ask": "a", "good": "b", "bad": "c", "score": 3}], "pairs.jsonl")
    for part in (
        "pairs.jsonl",
        "ask (text)",
        "score (a number)",
        "trl-",
        'chosen = "good", rejected = "bad"',
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"chosen": "yes", "rejected": "no"}, 'prompt = "..."'),
        ({"user": "Is it?", "chosen": "It is.", "rejected": "It may."}, 'prompt = "user"'),
        ({"userRequest": "Is it?", "chosen": "It is.", "rejected": "It may."}, 'prompt = "userRequest"'),
        ({"system": "Be brief.", "user": "Is it?", **TEXTS}, 'prompt = "user"'),
    ],
)
def test_answers_without_a_known_question_are_not_taken_for_whole_texts(row: Any, line: str) -> None:
    assert fitting(row) == []
    with pytest.raises(UnusableError, match="No column known holds the prompt") as caught:
        detect([row], "pairs.jsonl")
    assert f"columns = {{ {line}" in str(caught.value)


def test_whole_texts_may_have_columns_that_are_no_question() -> None:
    row = {**CATALOGUE[2].sample, "user_id": "7", "source": "forum", "userID": "8"}
    assert fitting(row) == ["trl-implicit"]


@pytest.mark.parametrize("number", [1, 9, 10, 14, 20, 29])
def test_a_system_prompt_is_a_system_message_and_makes_text_a_chat(number: int) -> None:
    sample = {name: value for name, value in CATALOGUE[number].sample.items() if name != "system"}
    with_system = {1: "prompt-pairs"}.get(number, CATALOGUE[number].format)
    assert fitting({**sample, "system_prompt": "Be brief."}) == [with_system]
    assert fitting({**sample, "system": "", "system_prompt": "Be brief."}) == [with_system]


@pytest.mark.parametrize("extra", ["trajectory", "conversations", "context"])
def test_a_column_that_the_layout_would_ignore_prevents_its_detection(extra: str) -> None:
    turns = [{"role": "user", "content": "Be kind."}]
    with pytest.raises(UnusableError, match=f"`{extra}`, which that does not read"):
        detect([{extra: turns, "prompt": "a", **TEXTS}], "pairs.jsonl")


def test_labels_of_questions_are_no_labels_of_answers() -> None:
    asked = {"role": "user", "content": "It rains."}
    answered = {"role": "assistant", "content": "It does."}
    assert fitting({"messages": [asked], "label": 1}) == []
    assert fitting({"messages": [asked, answered], "label": 1}) == ["labelled-messages"]
    assert fitting({"messages": [asked, answered], "label": 3}) == []


@pytest.mark.parametrize("number", [2, 3, 4])
def test_two_layouts_in_one_file_are_named_with_the_way_out(number: int) -> None:
    rows = [CATALOGUE[1].sample, CATALOGUE[number].sample]
    other = CATALOGUE[number].format
    with pytest.raises(UnusableError, match=r"Which one is meant\?") as caught:
        detect(rows, "pairs.jsonl")
    for part in ("trl-explicit (1 rows)", f"{other} (1 rows)", 'format = "'):
        assert part in str(caught.value)


def test_messages_written_out_as_text_are_not_trained_as_text() -> None:
    coded = '[{"role": "user", "content": "Hi"}]'
    with pytest.raises(UnusableError, match="`prompt` is text that holds messages written out"):
        detect([{"prompt": coded, "chosen": coded, "rejected": coded}], "pairs.csv")


@pytest.mark.parametrize("layout", FORMATS, ids=lambda layout: layout.name)
def test_a_layout_is_found_by_all_its_names(layout: Format) -> None:
    assert [format_named(name) for name in layout.names] == [layout] * len(layout.names)


def test_a_misspelt_format_brings_the_nearest_name() -> None:
    with pytest.raises(UsageError, match='Did you mean "trl-implicit"'):
        format_named("trl-implict")
    with pytest.raises(UsageError, match="Known: auto, trl-explicit"):
        format_named("zzz")
