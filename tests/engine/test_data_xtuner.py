"""Data sets as XTuner's users have them, from the file to the token ids that its own functions build of them.

Those render `prompt`, `prompt + chosen` and `prompt + rejected` with the chat template, and train what follows the
tokens of the first. Here the texts are written out by hand; what a template puts after the last EOS is not trained.
"""

from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from engine.data.prepared.prepared_set import Prepared
from tests.engine.layout_rows import assistant, system, user
from tests.engine.preparing import Prepare, Row, config_of, local, write

Sides = tuple[str, str, str]
"""Prompt, chosen and rejected completion as a template writes them."""


def turn(role: str, text: str) -> str:
    return f"<|im_start|>{role}\n{text}<|im_end|>\n"


ANSWER = "<|im_start|>assistant\n"
ASKED = turn("user", "The sky?") + ANSWER
GOOD, BAD = "It is blue.<|im_end|>", "Green is the grass.<|im_end|>"


def mix(chosen: list[Any], rejected: list[Any], **more: Any) -> Row:
    """A row of orpo-dpo-mix-40k, with all its columns."""
    return {
        "source": "Airoboros",
        "chosen": chosen,
        "rejected": rejected,
        "prompt": "The sky?",
        "question": "The sky?",
        **more,
    }


BEFORE = [user("The sky?"), assistant("Which?"), user("Ours.")]
SEVERAL_TURNS = turn("user", "The sky?") + turn("assistant", "Which?") + turn("user", "Ours.") + ANSWER

MIX: dict[str, tuple[Row, Sides]] = {
    "one turn": (
        mix(
            [user("The sky?"), assistant("It is blue.")], [user("The sky?"), assistant("Green is the grass.")]
        ),
        (ASKED, GOOD, BAD),
    ),
    "several turns": (
        mix([*BEFORE, assistant("It is blue.")], [*BEFORE, assistant("Green is the grass.")]),
        (SEVERAL_TURNS, GOOD, BAD),
    ),
    "a system message": (
        mix(
            [system("Be brief."), user("The sky?"), assistant("It is blue.")],
            [system("Be brief."), user("The sky?"), assistant("Green is the grass.")],
            source="jondurbin/truthy-dpo-v0.1",
        ),
        (turn("system", "Be brief.") + ASKED, GOOD, BAD),
    ),
    "columns that say otherwise": (
        mix(
            [user("The sky?"), assistant("It is blue.")],
            [user("The sky?"), assistant("Green is the grass.")],
            prompt="Tell me a story.",
            question="Who are you?",
        ),
        (ASKED, GOOD, BAD),
    ),
}

ORCA = {
    "system": "Be brief.",
    "question": "The sky?",
    "chosen": "It is blue.",
    "rejected": "Green is the grass.",
}
INTERACT = {
    "task": "Math_CoT",
    "dataset": "MATH",
    "trajectory": [
        {"from": "user", "value": "The sky?"},
        {"from": "assistant", "value": "Which?"},
        {"from": "user", "value": "Ours."},
    ],
    "chosen": "It is blue.",
    "rejected": "Green is the grass.",
    "id": "MATH_0",
    "parent_id": "MATH_1",
}
OWN = {
    "prompt": [system("Be brief."), user("The sky?")],
    "chosen": [assistant("It is blue.")],
    "rejected": [assistant("Green is the grass.")],
}
POLAR = {**OWN, "reference": [assistant("Blue.")], "wrapper": "sft"}
BRIEF = (turn("system", "Be brief.") + ASKED, GOOD, BAD)

OTHERS: dict[str, tuple[Row, str, Sides]] = {
    "Intel/orca_dpo_pairs": (ORCA, "question-pairs", BRIEF),
    "openbmb/UltraInteract_pair": (INTERACT, "ultra-interact", (SEVERAL_TURNS, GOOD, BAD)),
    "XTuner's own": (OWN, "trl-conversational", BRIEF),
    "POLAR's": (POLAR, "trl-conversational", BRIEF),
}


@pytest.fixture
def prepared(prepare: Prepare, tmp_path: Path) -> Any:
    def run(*rows: Row, **source: Any) -> Prepared:
        file = write(tmp_path / "rows.jsonl", rows)
        limits = {"max_length": 200, "max_prompt_length": 150}
        return prepare(config_of(local(file, **source), eval_fraction=0, **limits), "run")

    return run


def assert_built(made: Prepared, sides: list[Sides], tokenizer: PreTrainedTokenizerBase) -> None:
    """The pairs are the token ids of these texts, and what is trained begins where the prompt's tokens end."""
    assert len(made.train) == len(sides)
    for number, (prompt, *completions) in enumerate(sides):
        pair = made.train[number]
        start = len(tokenizer.encode(prompt, add_special_tokens=False))
        built = [tokenizer.encode(prompt + text, add_special_tokens=False) for text in completions]
        assert [pair.chosen.tolist(), pair.rejected.tolist()] == built
        assert (pair.chosen_start, pair.rejected_start) == (start, start)


def codes(made: Prepared) -> list[str]:
    return [notice.code for notice in made.report.warnings()]


@pytest.mark.parametrize("of", MIX)
def test_rows_of_the_mix_are_what_their_messages_say(
    prepared: Any, tiny_tokenizer: PreTrainedTokenizerBase, of: str
) -> None:
    row, sides = MIX[of]
    made = prepared(row)
    assert_built(made, [sides], tiny_tokenizer)
    (source,) = made.report.sources
    assert (source.format, source.detected) == ("trl-conversational-implicit", True)
    assert (made.report.dropped, made.report.cut, codes(made)) == ({}, {}, [])


def test_all_of_the_mix_is_one_layout_and_a_part_of_it_can_be_left_out(
    prepared: Any, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    rows = [row for row, _ in MIX.values()]
    toxic = mix([user("x"), assistant("y")], [user("x"), assistant("z")], source="toxic-dpo-v0.2")
    made = prepared(*rows, toxic, exclude={"source": ["toxic-dpo-v0.2"]})
    assert_built(made, [sides for _, sides in MIX.values()], tiny_tokenizer)
    assert {reason: tally.count for reason, tally in made.report.dropped.items()} == {"excluded": 1}


@pytest.mark.parametrize("of", OTHERS)
def test_rows_of_other_data_sets_of_its_pages_are_built_alike(
    prepared: Any, tiny_tokenizer: PreTrainedTokenizerBase, of: str
) -> None:
    row, layout, sides = OTHERS[of]
    made = prepared(row)
    assert_built(made, [sides], tiny_tokenizer)
    assert (made.report.sources[0].format, made.report.sources[0].detected) == (layout, True)
    assert codes(made) == (["data.for_reward_model"] if of == "POLAR's" else [])


def test_an_empty_system_message_is_none(prepared: Any, tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    """XTuner writes an empty one into the prompt, which a chat never has."""
    assert_built(prepared({**ORCA, "system": ""}), [(ASKED, GOOD, BAD)], tiny_tokenizer)


def test_what_only_polar_reads_is_named_with_what_is_trained(prepared: Any) -> None:
    made = prepared({**OWN, "prompt": [user("The sea?")]}, POLAR)
    (notice,) = made.report.warnings()
    assert notice.params["columns"] == ["reference", "wrapper"]
    assert notice.text.endswith(
        "`reference` and `wrapper` of its rows are for POLAR reward models, and not read: what is trained is chosen "
        "against rejected."
    )
    assert codes(prepared({**OWN, "reference": None, "wrapper": ""})) == []
    assert codes(prepared(POLAR, columns={name: name for name in OWN})) == []


def test_several_files_and_a_folder_of_them_are_read_in_order(
    prepare: Prepare, tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    def asked(number: int) -> Row:
        return {**OWN, "prompt": [user(f"The sky {number}?")]}

    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder / "b.jsonl", [asked(2)])
    write(folder / "a.jsonl", [asked(1)])
    (folder / "README.md").write_text("# Pairs")
    files = [write(tmp_path / f"{name}.jsonl", [asked(number)]) for name, number in (("x", 0), ("y", 3))]
    sources = [local(path) for path in (files[0], folder, files[1])]
    made = prepare(config_of(*sources, eval_fraction=0), "run")
    prompts = [turn("user", f"The sky {number}?") + ANSWER for number in range(4)]
    assert_built(made, [(prompt, GOOD, BAD) for prompt in prompts], tiny_tokenizer)
    assert [source.files for source in made.report.sources] == [1, 2, 1]
