"""Words on the command line that are too long, empty or hostile: refused in a few lines, with nothing obeyed."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.exits import Exit
from tests.bad_input.command import Command

LONG = "x" * 6000
LINE = 1300
"""Characters that a line of a message has at most."""

COMMANDS = [
    ["--headless", LONG],
    ["--headless", "tiny.toml", "--run", LONG],
    ["--headless", "tiny.toml", "--runs", LONG],
    ["--headless", "tiny.toml", "--set", LONG],
    ["--headless", "tiny.toml", "--set", f"{LONG}=1"],
    ["--headless", "tiny.toml", "--set", f"model.id={LONG}"],
    ["--headless", "tiny.toml", "--set", f"data.sources.0.path={LONG}"],
    ["--headless", "tiny.toml", "--set", f"train.max_steps={LONG}"],
    ["--headless", "tiny.toml", "--set", f"export.dtype={LONG}"],
    ["validate", LONG],
    ["data", LONG],
    ["data", "pairs.jsonl", "--model", LONG],
    ["attach", LONG],
    ["stop", LONG],
    ["export", LONG],
    ["export", "tiny", "--checkpoint", LONG],
    ["export", "tiny", "--dtype", LONG],
    ["runs", "--runs", LONG],
    ["templates", "cat", LONG],
    ["templates", "cp", "quickstart", LONG],
    [LONG],
    [f"--{LONG}"],
    ["validate", "tiny.toml", LONG],
]


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words).replace(LONG, "LONG"))
def test_an_endless_word_is_repeated_in_part(dpo_tui: Command, tmp_path: Path, words: list[str]) -> None:
    outcome = dpo_tui(*words)
    expected = (Exit.USAGE, Exit.UNUSABLE, Exit.CANNOT_WRITE)  # where a path can be none, a name no name
    assert outcome.code in expected, outcome
    assert outcome.out == ""
    assert "xxx" in outcome.err
    assert max(map(len, outcome.err.splitlines())) < LINE
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]


@pytest.mark.parametrize("word", ["\x1b]0;title\x07", "\u202egood", "\x9b2J"])
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--headless"],
        ["validate"],
        ["validate", "tiny.toml"],
        ["data"],
        ["export", "--dtype"],
        ["attach"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("config")
def test_a_word_that_steers_terminals_is_spelled_out(dpo_tui: Command, words: list[str], word: str) -> None:
    outcome = dpo_tui(*words, word)
    assert outcome.code in (Exit.USAGE, Exit.UNUSABLE)
    assert not set("\x1b\x07\u202e\x9b") & set(outcome.out + outcome.err)
    assert "\\x" in outcome.err or "\\u202e" in outcome.err or "U+" in outcome.err, outcome.err


def test_the_engine_s_own_parser_spells_words_out_and_cuts_them(tmp_path: Path) -> None:
    words = ["data", "--json", "a.toml", "\x1b[2J" + LONG]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "engine", *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == Exit.USAGE
    assert "unrecognized arguments: \\x1b[2Jxxx" in done.stderr
    assert max(map(len, done.stderr.splitlines())) < LINE
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("place", ["x" * 300, "a/" * 3000, "config.toml/runs"])
def test_where_no_directory_of_runs_can_be_there_are_no_runs_in_it(dpo_tui: Command, place: str) -> None:
    outcome = dpo_tui("runs", "--runs", place)
    assert outcome.code in (Exit.DONE, Exit.USAGE)
    assert outcome.err.count("\n") == 1
