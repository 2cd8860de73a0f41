"""Two whole texts divided into a prompt and its completions, and preferences that cannot teach anything."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.data.rows.messages import ChatPreference, TextPreference, flaw, split_texts

ASKED = {"role": "user", "content": "What colour is the sky?"}
GOOD = {"role": "assistant", "content": "It is blue by day."}
BAD = {"role": "assistant", "content": "Green, I think."}


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
