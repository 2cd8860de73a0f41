"""The quickstart pairs: complete, clean, and long against short."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.before_after import PROMPTS

FOLDER = Path(__file__).parents[2] / "templates" / "quickstart"
INNER_SENTENCE_END = re.compile(r"[.!?][\"')]*\s+\S")


def rows(name: str) -> list[dict[str, Any]]:
    """The JSON objects of one of the folder's files."""
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def pairs() -> list[dict[str, Any]]:
    """The shipped rows."""
    return rows("pairs.jsonl")


def content(row: dict[str, Any], side: str) -> str:
    """The text of a side's only message."""
    (message,) = row[side]
    return str(message["content"])


def test_every_row_has_one_message_a_side_and_no_system_message(pairs: list[dict[str, Any]]) -> None:
    for row in pairs:
        assert list(row) == ["prompt", "chosen", "rejected"]
        for side, role in (("prompt", "user"), ("chosen", "assistant"), ("rejected", "assistant")):
            assert [(set(message), message["role"]) for message in row[side]] == [({"role", "content"}, role)]
            assert isinstance(content(row, side), str)
            assert content(row, side) == content(row, side).strip() != ""


def test_there_are_enough_pairs_for_a_demo_and_few_enough_for_two_cores(pairs: list[dict[str, Any]]) -> None:
    assert 300 <= len(pairs) <= 500


def test_no_prompt_comes_twice_and_none_is_the_demos_own(pairs: list[dict[str, Any]]) -> None:
    prompts = [content(row, "prompt") for row in pairs]
    assert len({prompt.casefold() for prompt in prompts}) == len(prompts)
    assert not set(PROMPTS) & set(prompts)


def test_chosen_is_one_short_sentence(pairs: list[dict[str, Any]]) -> None:
    for row in pairs:
        chosen = content(row, "chosen")
        assert 3 <= len(chosen.split()) <= 30, chosen
        assert chosen[-1] in ".!?", chosen
        assert not INNER_SENTENCE_END.search(chosen), chosen
        assert "\n" not in chosen, chosen


def test_rejected_is_another_text_and_at_least_twice_as_long(pairs: list[dict[str, Any]]) -> None:
    for row in pairs:
        assert content(row, "chosen") != content(row, "rejected")
        assert len(content(row, "rejected").split()) >= 2 * len(content(row, "chosen").split())


def test_texts_hold_no_control_characters_and_no_chat_markup(pairs: list[dict[str, Any]]) -> None:
    for row in pairs:
        for side in row:
            text = content(row, side)
            assert all(character.isprintable() or character == "\n" for character in text), text
            assert "<|" not in text, text
            assert "\ufffd" not in text, text


def test_the_pairs_are_made_from_the_questions_beside_them(pairs: list[dict[str, Any]]) -> None:
    chosen = {row["prompt"]: row["chosen"] for row in rows("questions.jsonl")}
    for row in pairs:
        assert chosen[content(row, "prompt")] == content(row, "chosen")
