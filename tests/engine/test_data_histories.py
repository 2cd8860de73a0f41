"""Answers to different histories: never trained, counted with rows and the first difference; or the run stops."""

from pathlib import Path
from typing import Any

import pytest

from engine.config.schema import Gates
from engine.data.prepared.prepared_set import Prepared
from engine.exits import GateFailed
from engine.gates import require_few_dropped
from tests.engine.layout_rows import assistant, user
from tests.engine.preparing import Prepare, Row, config_of, local, texts, write
from tests.engine.test_data_exclude import told


def conversation(number: int, answer: str, *, question: str = "And at night?") -> list[Any]:
    return [user(f"The sky {number}?"), assistant("Blue."), user(question), assistant(answer)]


def chats(number: int, **rejected: str) -> Row:
    """Two whole conversations, that differ in their last answer alone unless told otherwise."""
    return {
        "chosen": conversation(number, "Black."),
        "rejected": conversation(number, "Green.", **rejected),
    }


def dialogue(number: int, answer: str, *, question: str = "And at night?") -> str:
    return f"\n\nHuman: The sky {number}?\n\nAssistant: Blue.\n\nHuman: {question}\n\nAssistant: {answer}"


def dialogues(number: int, **rejected: str) -> Row:
    return {
        "chosen": dialogue(number, "Black."),
        "rejected": dialogue(number, "Green.", **rejected),
    }


def wholes(number: int, *, question: str = "The") -> Row:
    return {"chosen": f"The sky {number} is blue.", "rejected": f"{question} sky {number} is green."}


@pytest.fixture
def made(prepare: Prepare, tmp_path: Path, request: pytest.FixtureRequest) -> Prepared:
    """Ten rows prepared, of which the fourth and the eighth have two histories."""
    of, other = request.param
    rows = [of(n, question=other) if n in (3, 7) else of(n) for n in range(10)]
    file = write(tmp_path / "rows.jsonl", rows)
    return prepare(config_of(local(file), eval_fraction=0), "run")


@pytest.mark.parametrize(
    ("made", "difference"),
    [
        ((chats, "And at noon?"), 'message 3: "…night?" / "…noon?"'),
        ((dialogues, "And at noon?"), 'message 3: "…night?" / "…noon?"'),
        ((wholes, "A"), '"The sky 3 is…" / "A sky 3 is g…"'),
    ],
    indirect=["made"],
    ids=["conversations", "dialogues", "texts"],
)
def test_rows_of_two_histories_are_dropped_and_told_with_row_and_difference(
    made: Prepared, difference: str
) -> None:
    report = made.report
    assert (report.rows, report.kept, len(made.train)) == (10, 8, 8)
    tally = report.dropped["histories_differ"]
    assert [place.rpartition("/")[2] for place in tally.places] == ["rows.jsonl:4", "rows.jsonl:8"]
    assert tally.detail == difference
    assert f"2  the two histories differ ({difference})  lines 4, 8" in report.render()
    assert [notice.code for notice in told(report)] == ["data.many_dropped"]


@pytest.mark.parametrize("made", [(chats, "And at noon?")], indirect=True)
def test_a_run_that_may_drop_nothing_stops_before_training(made: Prepared) -> None:
    report = made.report
    with pytest.raises(GateFailed, match=r"2 of 10 rows are dropped.*gates\.max_dropped = 0"):
        require_few_dropped(Gates(max_dropped=0), report.lost_count, report.rows - report.excluded_count)


@pytest.mark.parametrize("made", [(chats, "And at noon?")], indirect=True)
def test_what_is_kept_shares_its_history_token_by_token(made: Prepared, tiny_tokenizer: Any) -> None:
    for number in range(len(made.train)):
        pair = made.train[number]
        assert pair.chosen_start == pair.rejected_start
        assert (pair.chosen[: pair.chosen_start] == pair.rejected[: pair.rejected_start]).all()
    assert "noon" not in "".join(texts(made.train, tiny_tokenizer))
