"""No row, however odd, brings anything but the errors that name it."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.files.sources import Row
from engine.data.formats.detect import detect
from engine.data.formats.format import Format
from engine.data.formats.scores import margin
from engine.data.formats.table import FORMATS
from engine.data.report.tallies import DROPPED
from engine.data.rows.messages import ChatPreference, NoPair, Preference, RowError, TextPreference, flaw
from engine.exits import UnusableError
from tests.engine.odd_rows import rows

JOINED = [entry for entry in FORMATS if entry.join]


def outcome(layout: Format, fields: dict[str, Any]) -> Preference | NoPair | RowError:
    """What is read from a row, or why nothing is."""
    try:
        return layout.preference(fields)
    except (NoPair, RowError) as none:
        return none


def assert_sound(read: Preference | NoPair | RowError) -> None:
    """Only texts and messages in the one form, of which it can be told whether they teach anything."""
    if isinstance(read, NoPair | RowError):
        assert str(read) if isinstance(read, RowError) else read.reason in DROPPED
        return
    assert flaw(read) is None or flaw(read) in DROPPED
    if isinstance(read, TextPreference):
        assert all(isinstance(part, str) for part in (read.prompt, read.chosen, read.rejected))
        return
    assert isinstance(read, ChatPreference)
    for turn in (*read.prompt, *read.chosen, *read.rejected):
        assert turn["role"] in {"system", "user", "assistant", "tool"}
        assert isinstance(turn["content"], str)
        assert all(isinstance(call["function"]["arguments"], dict) for call in turn.get("tool_calls", []))


def detected(several: Sequence[dict[str, Any]]) -> Format | UnusableError:
    try:
        return detect(several, "pairs.jsonl")
    except UnusableError as error:
        return error


@settings(max_examples=300)
@given(rows())
def test_a_row_is_read_or_refused_in_words_by_every_layout(row: dict[str, Any]) -> None:
    for layout in FORMATS:
        told = layout.row_problem(row)
        read = outcome(layout, row)
        if layout.join is None and told:
            assert isinstance(read, RowError)
            assert told in str(read) or layout.refusal
        assert_sound(read)


@settings(max_examples=300)
@given(rows())
def test_no_row_is_in_two_layouts(row: dict[str, Any]) -> None:
    assert len([layout.name for layout in FORMATS if layout.matches(row)]) <= 1


@settings(max_examples=200)
@given(st.lists(rows(), min_size=1, max_size=4))
def test_detection_finds_a_layout_of_the_table_or_says_why_not(several: list[dict[str, Any]]) -> None:
    found = detected(several)
    if isinstance(found, UnusableError):
        assert "pairs.jsonl" in found.text
        assert "\n" not in found.text
    else:
        assert any(found.matches(row) and found.row_problem(row) is None for row in several)


@settings(max_examples=200)
@given(rows())
def test_a_margin_is_a_finite_number_or_none(row: dict[str, Any]) -> None:
    found = margin(row)
    assert found is None or math.isfinite(found)


@pytest.mark.parametrize("layout", JOINED, ids=lambda layout: layout.name)
@settings(max_examples=60)
@given(several=st.lists(rows(), max_size=5))
def test_a_join_gives_rows_that_are_read_or_refused_in_words(
    layout: Format, several: Sequence[dict[str, Any]]
) -> None:
    assert layout.join is not None
    with tempfile.TemporaryDirectory() as scratch:
        numbered = [Row("pairs.jsonl", number, True, fields) for number, fields in enumerate(several, 1)]
        for row in layout.join(iter(numbered), Path(scratch)):
            assert row.place == "pairs.jsonl"
            assert_sound(outcome(layout, row.fields))
        assert list(Path(scratch).iterdir()) == []
