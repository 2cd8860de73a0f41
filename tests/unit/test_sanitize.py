"""No text from elsewhere steers the terminal."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sanitize import brief, one_line, visible

STEERING = st.sampled_from(
    ["\x1b", "[", "]", "0", "2J", "m", ";", "\x07", "\x9b", "\r", "\n", "\x1b[0m", "\u202e"]
)
TEXTS = st.text() | st.lists(STEERING | st.characters()).map("".join)
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@settings(deadline=None)
@given(TEXTS)
def test_nothing_that_steers_a_terminal_gets_through(text: str) -> None:
    for character in visible(text):
        if character not in "\n\t":
            assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
            assert unicodedata.bidirectional(character) not in BIDI
            assert character not in "\u200e\u200f\u061c"


@settings(deadline=None)
@given(TEXTS)
def test_the_result_can_be_written_and_stays_as_it_is(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert visible(shown) == shown


@settings(deadline=None)
@given(TEXTS)
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    assert "\t" not in one_line(text)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_two_names_that_differ_do_not_look_the_same(one: str, other: str) -> None:
    shown = one_line(one)
    assert (shown == one_line(other)) == (one == other) or "\\" in one + other
    assert visible(shown) == shown


def test_a_style_in_a_name_is_spelled_out() -> None:
    assert one_line("a\x1b[31mb.toml") == "a\\x1b[31mb.toml"


def test_an_overlong_line_loses_its_middle_and_says_how_much() -> None:
    shown = brief(f"begins{'x' * 5000}ends\n{'y' * 1200}\nz")
    first, *rest = shown.split("\n")
    assert first.startswith("beginsxxx")
    assert first.endswith("xxxends")
    assert "[... 4,210 characters ...]" in first
    assert len(first) < 900
    assert rest == ["y" * 1200, "z"]


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"])))
def test_ordinary_text_in_any_script_is_left_alone(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]52;c;eA==\x07", "\\x1b]52;c;eA==\\x07"),
        ("\x1b[\x1b[0m2J", "\\x1b[2J"),
        ("a\r\nb\rc\td", "a\nb\\rc\td"),
        ("x\u202eexe.txt", "x\\u202eexe.txt"),
        ("\udcff", "\\udcff"),
        ("漢字 é 👍", "漢字 é 👍"),
    ],
)
def test_what_is_removed_and_what_is_spelled_out(text: str, shown: str) -> None:
    assert visible(text) == shown
