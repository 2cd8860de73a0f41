"""The doctor's words: a sentence for everything that can be found, in both languages, and what to do about it."""

import re
from pathlib import Path

import pytest

from dpo_tui import doctor, engine_answer, text
from dpo_tui.text import catalogue

ROOT = Path(__file__).parents[2]
PLACE = re.compile(r'Finding\(\s*"(\w+)", ("\w+"(?: if [^,]+ else "\w+")?)')


def findings() -> set[str]:
    """name.verdict of all that the engine can find."""
    source = (ROOT / "engine/doctor.py").read_text()
    named = {
        (name, verdict)
        for name, verdicts in PLACE.findall(source)
        for verdict in re.findall(r'"(ok|note|warn|bad)"', verdicts)
    }
    disks = {(name, verdict) for name in ("disk", "cache") for verdict in ("ok", "warn", "bad")}
    return {f"{name}.{verdict}" for name, verdict in named | disks}


@pytest.mark.parametrize("language", text.LANGUAGES)
def test_everything_found_has_a_sentence_and_what_is_wrong_a_remedy(language: text.Language) -> None:
    words = catalogue(language)
    found = findings()
    assert {"gpus.bad", "slurm.note", "lock.warn", "compiler.warn", "disk.bad"} <= found
    for finding in found:
        assert f"doctor.{finding}" in words
        assert f"doctor.{finding}.do" in words or finding.endswith((".ok", ".note"))


def test_an_engine_that_cannot_start_is_the_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine_answer, "ENGINE", ("/bin/sh", "-c", "echo loading; echo no torch >&2; exit 1"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert doctor.examine(json=False) == 8
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "✗ the engine cannot look: no torch"
    assert out[1].startswith("    Install")
