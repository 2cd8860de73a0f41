"""A config that cannot be trained: refused with file, line and key, before a run directory exists."""

from pathlib import Path

import pytest

from engine.exits import Exit
from tests.bad_input.command import Command, refused


def edited(config: Path, old: str, new: str) -> int:
    """Replace the first `old` in the config; returns the line it stood on."""
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("learning_rate", "lerning_rate", "optimizer.lerning_rate: unknown key. Did you mean 'learning_rate'?"),
        ("[train]", "[trian]", "trian: unknown table. Did you mean 'train'?"),
        ("pairs_per_step = 4", "pairs_per_step = '4'", "train.pairs_per_step: expected a whole number"),
        ("pairs_per_step = 4", "pairs_per_step = 4.0", "train.pairs_per_step: expected a whole number"),
        ("pairs_per_step = 4", "pairs_per_step = true", "train.pairs_per_step: expected a whole number"),
        ("pairs_per_step = 4", "pairs_per_step = [4]", "train.pairs_per_step: expected a whole number"),
        ("tokens_per_pack = 256", "tokens_per_pack = 'all'",
         "train.tokens_per_pack: expected a whole number or 'auto', found 'all'"),
        ("tokens_per_pack = 256", "tokens_per_pack = 'atuo'", "Did you mean 'auto'?"),
        ("tokens_per_pack = 256", "tokens_per_pack = '4096'", "Remove the quotes"),
        ("tokens_per_pack = 256", "tokens_per_pack = 8", "train.tokens_per_pack: must be at least 16, found 8"),
        ("pairs_per_step = 4", "pairs_per_step = 1979-05-27", "found the date or time 1979-05-27"),
        ("pairs_per_step = 4", "pairs_per_step = 0", "train.pairs_per_step: must be at least 1, found 0"),
        ("dtype = \"float32\"", "dtype = \"float31\"", "Did you mean 'float32'?"),
        ("= 1e-3", "= nan", "optimizer.learning_rate: expected a finite number, found nan"),
        ("= 1e-3", "= inf", "optimizer.learning_rate: expected a finite number, found inf"),
        ("= 1e-3", "= -inf", "optimizer.learning_rate: expected a finite number, found -inf"),
        ("= 1e-3", "= 0.0", "optimizer.learning_rate: must be greater than 0, found 0.0"),
        ("= 1e-3", "= 0", "optimizer.learning_rate: must be greater than 0, found 0"),
        ("= 1e-3", "= 1e9", "optimizer.learning_rate: must be at most 1, found 1000000000.0"),
        ("= 1e-3", "= -1", "optimizer.learning_rate: must be greater than 0, found -1"),
        ("= 1e-3", "= 1e-999", "optimizer.learning_rate: must be greater than 0, found 0.0"),
        ("= 1e-3", "= 9223372036854775808", "optimizer.learning_rate: must be at most 1"),
        ("[[data.sources]]", "[data.sources]", "Write [[data.sources]], with two brackets"),
        ("max_length = 96", "max_length = 40", "must be smaller than max_length, 40"),
        ("eval_fraction = 0.1", "eval_fraction = 1.0", "data.eval_fraction: must be less than 1.0, found 1.0"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_refused_at_its_line(
    dpo_tui: Command, config: Path, old: str, new: str, words: str
) -> None:
    line = edited(config, old, new)
    if "max_prompt_length" in config.read_text() and "max_length = 40" in new:
        line += 1  # the message stands at the key that has to give way
    refused(dpo_tui("--headless", config), Exit.USAGE, f"tiny.toml:{line}: ", words)


def test_all_mistakes_are_told_at_once_and_in_order(dpo_tui: Command, config: Path) -> None:
    lines = [edited(config, "= 1e-3", "= nan"), edited(config, "max_steps", "max_stepz")]
    outcome = dpo_tui("--headless", config, "--set", "run.seed=x", "--set", "model.idd=1")
    refused(outcome, Exit.USAGE, *(f"tiny.toml:{line}: " for line in lines))
    assert "--set run.seed=x: expected a whole number, found 'x'" in outcome.err
    assert "--set model.idd=1: unknown key. Did you mean 'id'?" in outcome.err
    assert len(outcome.err.splitlines()) == 4


def test_a_required_table_that_is_missing_is_named(dpo_tui: Command, config: Path) -> None:
    config.write_text("[train]\nmax_steps = 1\n")
    refused(dpo_tui("--headless", config), Exit.USAGE, "model: missing", "data: missing")


def test_a_model_folder_that_is_not_there_is_named(dpo_tui: Command, config: Path, tmp_path: Path) -> None:
    outcome = dpo_tui("--headless", config, "--set", "model.id=nowhere")
    refused(outcome, Exit.UNUSABLE, f"model.id: {tmp_path}/nowhere does not exist", "Correct the path")


@pytest.mark.parametrize("key", ["model.id", "data.sources.0.path", "data.chat_template"])
def test_a_tilde_of_nobody_is_a_path_that_is_not_there(
    dpo_tui: Command, config: Path, tmp_path: Path, key: str
) -> None:
    outcome = dpo_tui("--headless", config, f"--set={key}=~nobody-of-this-name")
    refused(outcome, Exit.UNUSABLE, f"{tmp_path}/~nobody-of-this-name does not exist")


def test_every_missing_file_is_named_at_once(dpo_tui: Command, config: Path, tmp_path: Path) -> None:
    settings = [
        f"--set={key}=none-{key[0]}" for key in ("model.id", "data.sources.0.path", "data.chat_template")
    ]
    outcome = dpo_tui("--headless", config, *settings)
    refused(outcome, Exit.UNUSABLE, "model.id: ", "data.sources[0].path: ", "data.chat_template: ")
    assert outcome.err.count("does not exist") == 3


def test_a_path_through_a_file_or_around_a_loop_is_named(
    dpo_tui: Command, config: Path, pairs: Path, tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for path in (pairs / "inner.jsonl", tmp_path / "loop", tmp_path / ("x" * 300), Path("\udcff")):
        outcome = dpo_tui("--headless", config, f"--set=data.sources.0.path='{path}'")
        assert outcome.code in (Exit.UNUSABLE, Exit.USAGE)
        refused(outcome, Exit(outcome.code), "data.sources" if path.name.isprintable() else "not UTF-8")
