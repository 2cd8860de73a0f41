"""Data as the field has it, trained for five steps from the file to the exported model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.data.pairs import Pair, PairStore
from engine.export.folder import RECORD
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


Trained = tuple[str, list[dict[str, Any]], Pair, str, Path]


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, model: Path
) -> Callable[[str, Callable[[int], dict[str, Any]]], Trained]:
    def run(name: str, row: Callable[[int], dict[str, Any]], *overrides: str) -> Trained:
        folder = tmp_path_factory.mktemp(name)
        pairs = folder / "pairs.jsonl"
        pairs.write_text("".join(json.dumps(row(number)) + "\n" for number in range(PAIRS)))
        made = make_run(
            folder, name, model, pairs, f"train.max_steps={STEPS}", "data.max_length=120", *overrides
        )
        events = train_here(made)
        pair = PairStore.open(made.data_dir / "train.arrow")[0]
        tokenizer = load_tokenizer(ResolvedModel("local", str(model), model, None, None, False))
        text = str(tokenizer.decode(pair.chosen.tolist()))
        return name, events, pair, text, made.export_dir

    return run  # type: ignore[return-value]


def report_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    (data,) = of_type(events, "data")
    report: dict[str, Any] = data["report"]
    return report


def assert_trained(events: list[dict[str, Any]], folder: Path) -> None:
    steps = of_type(events, "step")
    assert [event["step"] for event in steps] == list(range(1, STEPS + 1))
    assert steps[0]["rewards/margins"] == 0.0
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert json.loads((folder / RECORD).read_text())["step"] == STEPS


def test_transcripts_become_chats_of_several_turns(trained: Any) -> None:
    _, events, pair, text, folder = trained("hh", transcript)
    assert_trained(events, folder)
    assert report_of(events)["sources"][0]["format"] == "hh-rlhf"
    assert text.count("<|im_start|>assistant") == 2
    assert "Human:" not in text
    assert 1 < pair.chosen_start < len(pair.chosen)


def test_scored_conversations_keep_what_is_above_the_margin(trained: Any) -> None:
    _, events, _, text, folder = trained("ultra", scored, "data.sources.0.min_margin=1")
    assert_trained(events, folder)
    report = report_of(events)
    assert report["sources"][0]["format"] == "trl-conversational-implicit"
    assert report["dropped"]["margin"]["count"] == len([n for n in range(PAIRS) if n % 6 == 0])
    assert text.count("<|im_start|>user") == 1


def test_plain_text_is_trained_as_it_stands_and_says_so(trained: Any) -> None:
    _, events, pair, text, folder = trained("plain", plain)
    assert_trained(events, folder)
    assert report_of(events)["sources"][0]["format"] == "trl-explicit"
    assert "<|im_start|>user" not in text
    assert text.endswith("<|endoftext|>")
    assert pair.chosen[-1] == 0
    assert "data.text_for_chat_model" in [event["code"] for event in of_type(events, "warning")]
