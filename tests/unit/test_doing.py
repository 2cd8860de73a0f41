"""What a run that has not ended does, in a word."""

import pytest

from dpo_tui.doing import WORDS, doing
from dpo_tui.metrics.phases import Phase
from dpo_tui.text import has


def at(name: str, done: int | None = None) -> Phase:
    return Phase(name=name, state="progress", done=done)


@pytest.mark.parametrize(
    ("phase", "word"),
    [
        (at("train"), "running"),
        (at("eval"), "evaluating"),
        (at("save"), "saving"),
        (None, "finishing"),
        (at("export"), "exporting"),
        (at("export", 3), "verifying"),
        (at("export", 4), "uploading"),
    ],
)
def test_a_run_whose_last_step_is_done_says_what_it_does_instead(phase: Phase | None, word: str) -> None:
    assert doing("running", phase, trained=True) == word
    assert word == "running" or word in WORDS
    assert has(f"state.{word}")


@pytest.mark.parametrize("phase", [None, at("tokenize"), at("train"), at("eval"), at("save")])
def test_what_comes_and_goes_within_the_training_is_training(phase: Phase | None) -> None:
    assert doing("running", phase, trained=False) == "running"


def test_another_state_is_said_as_it_is() -> None:
    assert doing("stopping", at("save"), trained=True) == "stopping"
