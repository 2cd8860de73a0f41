"""What people see of a run on a terminal: calm, and nothing untrusted that steers it."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpo_tui.display import CalmProgress, JsonLines, PlainLines, choose_display, say
from dpo_tui.sentences import lasting_line, metrics
from tests.fake_engine import SCRIPT, write_config

_EVENTS: list[dict[str, Any]] = [
    {"type": "phase", "phase": "train", "state": "start", "total": 9},
    {"type": "step", "step": 3, "loss": 0.5, "rewards/margins": 0.25, "rewards/accuracies": 0.75},
    {"type": "eval", "step": 3, "loss": 0.4},
    {"type": "save", "step": 3, "path": "/r/checkpoints/step-3", "verified": True},
    {"type": "warning", "text": "[/INST] is no markup"},
    {"type": "resume", "attempt": 2, "from_step": 3},
    {"type": "data", "report": {"rows": 9, "train": 7, "eval": 1, "dropped": {}}},
    {"type": "packs", "packs_per_step": 2.5, "tokens_per_pack": 1040.2, "sharing": 2.0},
    {"type": "memory", "total": 3 << 30, "room": 8 << 30, "largest": "activations", "activations": 2 << 30},
    {"type": "memory", "total": "much", "largest": 3},
    {"type": "mystery"},
]


def _on_a_terminal(argv: list[str], term: str) -> tuple[str, int]:
    """What a program writes to a terminal of its own, and its exit code."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": term, "COLUMNS": "120"}
    process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    written = b""
    try:
        while data := os.read(ours, 65536):
            written += data
    except OSError:  # the terminal's other side is closed
        pass
    os.close(ours)
    return written.decode(), process.wait(30)


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_a_terminal_shows_progress_and_where_things_are(tmp_path: Path, term: str) -> None:
    config = write_config(tmp_path)
    shown, code = _on_a_terminal([*SCRIPT, "headless", str(config), "--steps", "40"], term)
    assert code == 0
    assert "loss" in shown
    assert "saved  step 40" in shown
    assert "tiny is done" in shown
    assert f"exported to {tmp_path}/runs/tiny/export" in shown
    assert '"type"' not in shown
    assert ("\x1b" in shown) == (term == "xterm")


def test_a_plain_terminal_gets_a_line_for_what_matters(capsys: pytest.CaptureFixture[str]) -> None:
    display = PlainLines()
    for event in _EVENTS:
        display.show(event)
    display.close()
    assert capsys.readouterr().out.splitlines() == [
        "train",
        "step 3/9  loss 0.5  margin 0.25  accuracy 0.75",
        "eval   step 3  loss 0.4",
        "saved  step 3  /r/checkpoints/step-3",
        "warning: [/INST] is no markup",
        "resumed from step 3 (attempt 2)",
        "data   9 rows: 7 pairs to train on, 1 to evaluate on",
        "packs  2.5 a step, 1,040 tokens each; sharing prompts saves 50%",
        "memory 3 of 8 GiB expected at its highest, activations the most of it with 2",
    ]


def test_a_checkpoint_that_does_not_verify_is_pointed_out() -> None:
    assert "NOT VERIFIED" in (lasting_line({"type": "save", "step": 1, "path": "x", "verified": False}) or "")


def test_metrics_of_another_type_are_left_out() -> None:
    assert metrics({"loss": None, "rewards/margins": "x"}) == ""


def test_stdout_that_is_no_terminal_gets_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert isinstance(choose_display(json=False), JsonLines)


@settings(max_examples=60, deadline=None)
@given(st.text(), st.sampled_from(["warning", "save", "phase", "step", "\x1b[2J"]))
def test_no_text_of_an_event_steers_the_terminal(text: str, kind: str) -> None:
    event = {"type": kind, "text": text, "path": text, "phase": text, "state": "start", "step": text}
    for display in (PlainLines(), JsonLines()):
        with pytest.MonkeyPatch.context() as patch:
            out = io.StringIO()
            patch.setattr(sys, "stdout", out)
            display.show(event)
        written = out.getvalue()
        assert all(char in "\n\t" or (char >= " " and not "\x7f" <= char <= "\x9f") for char in written)
        assert "\u202e" not in written


def test_text_that_the_terminal_cannot_write_is_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    say("Düne")
    assert raw.getvalue() == b"D\\xfcne\n"


@pytest.mark.parametrize("columns", ["60", "200"])
def test_a_narrow_terminal_keeps_the_steps_and_the_loss(
    monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    display = CalmProgress()

    def shown() -> str:
        console = display._progress.console
        with console.capture() as captured:
            console.print(display._progress.get_renderable())
        return captured.get()

    assert "starting …" in shown()
    display.show({"type": "phase", "phase": "tokenize", "state": "start"})
    assert "tokenize" in shown()
    assert "starting" not in shown()
    assert not re.search("/[?]|eta", shown())
    display.show({"type": "phase", "phase": "tokenize", "state": "end"})
    display.show({"type": "phase", "phase": "train", "state": "start", "total": 70000})
    display.show({**_EVENTS[1], "step": 12345})
    assert "train 12345/70000 loss 0.5" in re.sub("[ ━╸╺]+", " ", shown())
    assert ("━" in shown()) == (columns == "200")
    assert "…" not in shown()
    display.close()
