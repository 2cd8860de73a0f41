"""A file that is no config, by accident or by design: one line, soon, and nothing made."""

import time
from pathlib import Path

import pytest

from engine.exits import Exit
from tests.bad_input.command import Command, refused

GOOD = b'[model]\nsource = "builtin"\nid = "smollm2-135m-instruct"\n'
SECONDS = 10.0  # of a busy machine: alone the slowest takes 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[model\nid = 1", ":1: not TOML: "),
        (b"[model]\nid = ", ":2: not TOML: a value was expected"),
        (b"[model]\nid = x", ":2: not TOML: a value was expected; text needs quotes"),
        (b"[model]\nid = 'x\n", ":2: not TOML: the text in quotes does not end"),
        (b"[model]\nid = [1\n", ":2: not TOML: the list does not end"),
        (b"[model]\nid = 1\nid = 2\n", ":3: not TOML: this key has a value already"),
        (GOOD + b"[model]\n", ":4: not TOML: this table stands in the file already"),
        (GOOD + b"[data]\nx=1\n[data.x]\n", ":6: not TOML: "),
        (b"\xef\xbb\xbf" + GOOD, ":1: the file starts with a byte order mark; save it as UTF-8 without one"),
        (GOOD.decode().encode("utf-16"), ":1: not UTF-8"),
        (GOOD + b"# \xff\n", ":4: not UTF-8: byte 0xff"),
        (GOOD + b"x = '\x00'\n", ":4: not TOML: "),
        (GOOD + b"x = '\x1b]0;title\x07'\n", ":4: not TOML: "),
        (GOOD + b'x = "\\u001b]52;c;aGk="\n', ":4: model.x: contains the control character U+001B"),
        (GOOD + b'x = "\\ud800"\n', ":4: not TOML: "),
        (GOOD + "x = '\u202e'\n".encode(), ":4: model.x: contains the control character U+202E"),
        (GOOD + b'"\\u001b[2J" = 1\n', ":4: "),
        (b"\n\n\n", "model: missing"),
        (b"", "model: missing"),
        (b"x = " + b"[" * 50_000, ":1: nested more than 16 levels deep"),
        (b"x = " + b"{a=" * 50_000, ":1: nested more than 16 levels deep"),
        (b"x = " + b"9" * 5_000, ":1: a value without quotes of more than 128 characters"),
        (b"a" + b".b" * 100_000 + b" = 1", ":1: nested more than 16 levels deep"),
        (b"#" * (2 << 20), ": larger than 1 MiB, which no config is"),
        (b"[[a]]\n" * 50_000, ":1: a: unknown key"),
        (b"x = [" + b"1," * 250_000 + b"]", ":1: x: unknown key"),
        (b"x = '''" + b"\n" * 1_000_000, "not TOML: "),
    ],
)
def test_what_is_no_config_is_refused_at_once(
    dpo_tui: Command, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    start = time.monotonic()
    outcome = dpo_tui("--headless", path)
    assert time.monotonic() - start < SECONDS
    refused(outcome, Exit.USAGE, f"c.toml{words}" if words.startswith(":") else words)
    assert "\x1b" not in outcome.err


def test_a_config_that_is_not_there_or_no_file_is_named(dpo_tui: Command, tmp_path: Path) -> None:
    refused(dpo_tui("--headless", "none.toml"), Exit.USAGE, "none.toml: no such file")
    refused(dpo_tui("--headless", tmp_path), Exit.USAGE, "Is a directory")
    refused(dpo_tui("--headless", "/dev/null"), Exit.USAGE, "model: missing")
    refused(dpo_tui("--headless", "x" * 5000), Exit.USAGE, "File name too long")
    refused(dpo_tui("--headless", "quickstart"), Exit.USAGE, "templates cp quickstart")


def test_a_config_without_end_is_read_to_its_limit(dpo_tui: Command) -> None:
    refused(dpo_tui("--headless", "/dev/zero"), Exit.USAGE, "/dev/zero: larger than 1 MiB")
