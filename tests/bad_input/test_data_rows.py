"""Rows that teach nothing or are none: told with file and line before a weight is read, or dropped and counted."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.exits import Exit
from tests.bad_input.command import Command, Outcome, failed, refused

GOOD = {"prompt": "What is red?", "chosen": "Tea.", "rejected": "The old cup in the sun."}


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever loads weights has gone too far."""
    monkeypatch.delattr("engine.build.load_model")


class Trainer:
    """Trains on the rows given."""

    def __init__(self, dpo_tui: Command, config: Path, file: Path) -> None:
        self._dpo_tui, self._config, self.file = dpo_tui, config, file

    def __call__(self, *rows: Any, settings: tuple[str, ...] = ()) -> Outcome:
        self.file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return self.on_file(*settings)

    def on_file(self, *settings: str) -> Outcome:
        given = [f"data.sources.0.path={self.file}", *settings]
        return self._dpo_tui("--headless", self._config, *(f"--set={setting}" for setting in given))


@pytest.fixture
def train(dpo_tui: Command, config: Path, tmp_path: Path) -> Trainer:
    return Trainer(dpo_tui, config, tmp_path / "rows.jsonl")


def test_a_missing_file_is_refused_before_the_run_exists(train: Trainer) -> None:
    refused(
        train.on_file(),
        Exit.UNUSABLE,
        f"data.sources[0].path: {train.file} does not exist",
        "Correct the path",
    )


def test_a_file_that_goes_missing_ends_the_run(train: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpo_tui.starting.require_inputs", lambda _config: None)
    failed(train.on_file(), Exit.UNUSABLE, f"{train.file}: no such file")


@pytest.mark.parametrize("path", ["~nobody-of-this-name/x", "a/b/c", "../x", "x" * 3000])
def test_what_is_no_id_on_the_hub_is_named_before_anybody_is_asked(train: Trainer, path: str) -> None:
    settings = ["data.sources.0.source=hub", f"data.sources.0.path='{path}'"]
    refused(train(GOOD, settings=tuple(settings)), Exit.USAGE, "expected a repo id like 'owner/name'")


@pytest.mark.usefixtures("no_model")
def test_a_missing_column_is_named_with_what_there_is(train: Trainer) -> None:
    failed(
        train({"question": "a", "good": "b", "bad": "c"}), Exit.UNUSABLE, str(train.file), "question", "good"
    )


@pytest.mark.usefixtures("no_model")
def test_a_column_missing_in_a_later_row_is_named_with_its_line(train: Trainer) -> None:
    rows = [GOOD] * 40 + [{"prompt": "a", "chosen": "b"}] + [GOOD] * 3
    failed(train(*rows), Exit.UNUSABLE, f"{train.file}:41", "rejected")


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("value", [None, 7, 1.5, True, ["a"], {"a": "b"}])
def test_a_value_that_is_no_text_is_named_with_its_line(train: Trainer, value: object) -> None:
    failed(train(GOOD, GOOD, {**GOOD, "rejected": value}), Exit.UNUSABLE, f"{train.file}:3", "rejected")


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("content", ["", "\n\n", "[]"])
def test_a_file_without_rows_is_said_to_be_empty(train: Trainer, content: str) -> None:
    train.file.write_text(content)
    failed(train.on_file(), Exit.UNUSABLE, str(train.file))


@pytest.mark.usefixtures("no_model")
def test_when_every_pair_is_dropped_the_reasons_are_counted(train: Trainer) -> None:
    equal, empty = {**GOOD, "rejected": "Tea."}, {**GOOD, "chosen": ""}
    outcome = train(*[equal] * 6, *[empty] * 4)
    failed(outcome, Exit.UNUSABLE, "None of the 10 rows can be trained on", "6", "4")


def test_equal_pairs_are_dropped_and_counted_and_the_rest_is_trained(train: Trainer) -> None:
    rows = [{**GOOD, "prompt": f"What is {number}?"} for number in range(12)]
    equal = [{**GOOD, "rejected": "Tea."}] * 3
    outcome = train(*rows, *equal, settings=("train.max_steps=1", "export.enabled=false"))
    assert outcome.code == Exit.DONE, outcome.err
    report = next(event["report"] for event in events(outcome) if event["type"] == "data")
    assert (report["rows"], report["kept"]) == (15, 12)
    assert report["dropped"]["equal"]["count"] == 3
    assert "lines 13, 14, 15" in outcome.log


def events(outcome: Outcome) -> list[dict[str, Any]]:
    return [json.loads(line) for line in outcome.out.splitlines()]


@pytest.mark.usefixtures("no_model")
def test_fewer_pairs_than_a_step_takes_are_too_few(train: Trainer) -> None:
    failed(
        train(GOOD, settings=("data.eval_fraction=0",)),
        Exit.UNUSABLE,
        "There are 1 pairs",
        "train.pairs_per_step",
    )


@pytest.mark.usefixtures("no_model")
def test_prompts_that_leave_no_room_are_counted_as_too_long(train: Trainer) -> None:
    long = {**GOOD, "chosen": "x" * 500, "rejected": "y" * 500}
    outcome = train(*[long] * 8, settings=("data.too_long=drop",))
    failed(outcome, Exit.UNUSABLE, "None of the 8 rows can be trained on")


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("row", [[], "text", 3, None, [GOOD]])
def test_a_line_that_is_no_object_is_named(train: Trainer, row: object) -> None:
    failed(train(GOOD, row), Exit.UNUSABLE, f"{train.file}:2", "a row is a JSON object")


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user"}],
        [{"content": "x"}],
        [{"role": 1, "content": "x"}],
        [{"role": "user", "content": 1}],
        ["x"],
        [None],
        [[{"role": "user", "content": "x"}]],
    ],
)
def test_a_conversation_that_is_none_is_named_with_its_line(train: Trainer, messages: list[object]) -> None:
    good = [{"role": "user", "content": "x"}]
    chat = {
        "prompt": good,
        "chosen": [{"role": "assistant", "content": "y"}],
        "rejected": [{"role": "assistant", "content": "z"}],
    }
    outcome = train(chat, {**chat, "prompt": messages})
    failed(outcome, Exit.UNUSABLE, f"{train.file}:2", "prompt")


@pytest.mark.usefixtures("no_model")
def test_control_characters_in_rows_and_names_do_not_reach_the_terminal(
    train: Trainer, tmp_path: Path
) -> None:
    outcome = train({"\x1b]52;c;aGk=\x07": "x", "\u202egood": "y"})
    failed(outcome, Exit.UNUSABLE, str(train.file))
    assert not set("\x1b\x07\u202e") & set(outcome.out + outcome.err + outcome.log)
