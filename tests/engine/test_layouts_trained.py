"""Data as the field has it, trained for five steps from the file to the exported model."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from engine.data.prepared.pairs import Pair, PairStore
from engine.export.record import RECORD
from engine.models.load import load_tokenizer
from engine.models.resolve import ResolvedModel
from tests.engine.runs import WORDS, make_run, of_type, train_here

STEPS = 5
PAIRS = 24


def transcript(number: int) -> dict[str, Any]:
    """As Anthropic/hh-rlhf has it: two whole dialogues as text."""
    word = WORDS[number % len(WORDS)]
    opening = f"\n\nHuman: {number} {word}?\n\nAssistant: yes\n\nHuman: and?\n\nAssistant: "
    return {"chosen": opening + word, "rejected": opening + f"no {word} here"}


def scored(number: int) -> dict[str, Any]:
    """As HuggingFaceH4/ultrafeedback_binarized has it: a prompt, two conversations, their scores."""
    word = WORDS[number % len(WORDS)]
    asked = {"role": "user", "content": f"{number} {word}?"}
    chosen = [asked, {"role": "assistant", "content": word}]
    rejected = [asked, {"role": "assistant", "content": f"not {word}"}]
    return {
        "prompt": asked["content"],
        "prompt_id": f"{number:064x}",
        "chosen": chosen,
        "rejected": rejected,
        "messages": chosen,
        "score_chosen": 8.0,
        "score_rejected": 8.0 if number % 6 == 0 else 3.5,
    }


def plain(number: int) -> dict[str, Any]:
    """Text to go on with, for a model that does not chat."""
    word = WORDS[number % len(WORDS)]
    return {"prompt": f"{number}. The word is", "chosen": f" {word}.", "rejected": f" a word, {word}."}


@dataclass(frozen=True, slots=True)
class Trained:
    """A run that ended: its events, its first pair, and the text of that with the chosen completion."""

    events: list[dict[str, Any]]
    pair: Pair
    text: str
    export: Path


Train: TypeAlias = Callable[..., Trained]


@pytest.fixture
def train(tmp_path: Path, model: Path) -> Train:
    """Trains `STEPS` steps on the rows that a function makes of numbers, with overrides of the config."""

    def run(row: Callable[[int], dict[str, Any]], *overrides: str) -> Trained:
        pairs = tmp_path / "pairs.jsonl"
        pairs.write_text("".join(json.dumps(row(number)) + "\n" for number in range(PAIRS)))
        steps = (f"train.max_steps={STEPS}", "data.max_length=120")
        made = make_run(tmp_path, "layout", model, pairs, *steps, *overrides)
        events = train_here(made)
        pair = PairStore.open(made.data_dir / "train.arrow")[0]
        tokenizer = load_tokenizer(ResolvedModel("local", str(model), model, None, None, False))
        return Trained(events, pair, str(tokenizer.decode(pair.chosen.tolist())), made.export_dir)

    return run


def report_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    (data,) = of_type(events, "data")
    report: dict[str, Any] = data["report"]
    return report


def assert_trained(run: Trained, layout: str) -> None:
    steps = of_type(run.events, "step")
    assert [event["step"] for event in steps] == list(range(1, STEPS + 1))
    assert steps[0]["rewards/margins"] == 0.0
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert json.loads((run.export / RECORD).read_text())["step"] == STEPS
    assert report_of(run.events)["sources"][0]["format"] == layout


def test_transcripts_become_chats_of_several_turns(train: Train) -> None:
    run = train(transcript)
    assert_trained(run, "hh-rlhf")
    assert run.text.count("<|im_start|>assistant") == 2
    assert "Human:" not in run.text
    assert 1 < run.pair.chosen_start < len(run.pair.chosen)


def test_scored_conversations_keep_what_is_above_the_margin(train: Train) -> None:
    run = train(scored, "data.sources.0.min_margin=1")
    assert_trained(run, "trl-conversational-implicit")
    assert report_of(run.events)["dropped"]["margin"]["count"] == PAIRS // 6
    assert run.text.count("<|im_start|>user") == 1


def test_plain_text_is_trained_as_it_stands(train: Train) -> None:
    run = train(plain)
    assert_trained(run, "trl-explicit")
    assert "<|im_start|>user" not in run.text
    assert run.text.endswith("<|endoftext|>")
