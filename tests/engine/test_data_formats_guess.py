"""Which column may be which part of a pair: only a name that speaks for itself is taken."""

from pathlib import Path

import pytest

from engine.config.schema import Source
from engine.data.formats.guess import suggestion
from engine.data.watch import Watch
from engine.preview.columns import columns_of
from tests.engine.preparing import write


@pytest.mark.parametrize(
    "columns",
    [
        ["prompt", "gut", "wer"],
        ["prompt", "window", "close"],
        ["prompt", "response_a", "response_b"],
        ["prompt", "chosen_score", "rejected_id"],
    ],
)
def test_no_answer_is_taken_from_names_that_do_not_speak_for_themselves(columns: list[str]) -> None:
    assert suggestion(columns) == {"prompt": "prompt", "chosen": None, "rejected": None}


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected"),
    [
        ("promt", "choosen", "rejectd"),
        ("Prompt", "Chosen Response", "Rejected Response"),
        ("userQuestion", "goodAnswer", "badAnswer"),
        ("query", "preferred", "non_preferred"),
        ("instuction", "prefered", "disprefered"),
        ("the_question", "accepted_answer", "reject"),
        ("input", "answer_win", "answer_lose"),
        ("PROMPT", "CHOSEN", "REJECTED"),
    ],
)
def test_names_that_speak_for_themselves_are_taken_misspelled_ones_too(
    prompt: str, chosen: str, rejected: str
) -> None:
    expected = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    assert suggestion(["wer", rejected, prompt, "user_id", chosen]) == expected


def test_a_column_of_numbers_is_no_answer_whatever_its_name(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [{"question": "Why?", "win": 1, "bad": False, "text": "So."}])
    told = columns_of(Source(source="local", path=str(file)), Watch())
    assert told["suggested"] == {"prompt": "question", "chosen": None, "rejected": None}
