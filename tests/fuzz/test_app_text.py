"""Text that nobody vouches for, on every screen and in the stream: nothing ends the app or steers the terminal."""

import asyncio
import io
import json
import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from textual.pilot import Pilot
from textual.widgets import Input

from dpo_tui.app import DpoApp
from dpo_tui.display import JsonLines, PlainLines
from dpo_tui.screens.quit import QuitScreen
from dpo_tui.settings import Recents
from engine.rundir.status import Reason
from tests.fuzz.cases import COUNT, fuzzed
from tests.tui.driving import frame, wait_for
from tests.tui.fake_runs import make_run, write_events

BATCH = 25
"""Texts of one case: an app is started for each case, and takes longer than a text."""

STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2060-\u206f\u2028\u2029\ufeff]"
)
"""What no frame may hold; line breaks part its lines."""

PIECES = [
    "[red]", "[/]", "[/red]", "[@click=app.quit]x[/]", "[bold", "]", "\\[", "$accent", "{name}", "{0}", "%s",
    "\x1b[2J", "\x1b]0;title\x07", "\x1b]52;c;AAAA\x07", "\x1b", "\x9b31m", "\x90q", "\x00", "\r", "\n", "\t", "\x7f",
    "\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "中文", "é", "e\u0301", "👩‍👩‍👧", "\U000e0041", "a" * 3_000,
    " ", "",
]  # fmt: skip
TEXT = st.lists(st.sampled_from(PIECES) | st.text(max_size=12), max_size=6).map("".join)
NAME = TEXT.map(lambda text: re.sub(r"[/\x00\ud800-\udfff]", "", text)[:40].strip(".") or "run")

Texts = Sequence[str]

on_screens = settings(
    fuzzed,
    max_examples=int(os.environ.get("FUZZ_CASES", 2 * BATCH)) // BATCH,
    phases=(Phase.explicit, Phase.generate),
)
"""A case takes seconds: few of them, and none that only makes a failure shorter."""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What screens write or look for is found here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr(Input, "cursor_blink", False)


@on_screens
@given(st.lists(TEXT, min_size=BATCH, max_size=BATCH), st.lists(NAME, min_size=2, max_size=2, unique=True))
def test_any_text_on_any_screen_is_only_text(texts: Texts, names: Texts) -> None:
    COUNT["texts on screens"] += len(texts)
    with tempfile.TemporaryDirectory() as folder:
        roots = [hostile_run(Path(folder) / "runs", name, texts) for name in names]
        config = Path(folder) / "config.toml"
        config.write_text(tomlkit.dumps(hostile_config(texts)), encoding="utf-8", errors="replace")
        asyncio.run(visit(Path(folder), roots, config))


@fuzzed
@given(st.lists(TEXT, min_size=BATCH, max_size=BATCH))
def test_any_text_in_the_stream_is_only_text(texts: Texts) -> None:
    COUNT["texts in the stream"] += len(texts)
    for display in (PlainLines(), JsonLines()):
        out = io.StringIO()
        with redirect_stdout(out):
            for event in hostile_events(texts):
                display.show(event)
            display.close()
        assert not STEERING.search(out.getvalue())


def hostile_run(runs: Path, name: str, texts: Texts) -> Path:
    """A run all of whose words are somebody's."""
    reason = Reason(texts[0], texts[1], {"path": texts[2], "detail": texts[3]})
    warnings = [{"code": code, "text": text, "params": {"path": code}} for code, text in pairwise(texts)]
    run = make_run(runs, name, "failed", steps=3, total=5, warnings=warnings, reason=reason, job_id=texts[4],
                   host=texts[5], log="\n".join(texts), config="")  # fmt: skip
    write_events(run, hostile_events(texts))
    (run.root / "export.jsonl").write_text(
        "\n".join(json.dumps({"v": 1, "time": 1.0, **e}) for e in exports(texts))
    )
    return run.root


def hostile_events(texts: Texts) -> list[dict[str, Any]]:
    """Events of every type, with these texts wherever one may stand."""
    a, b, c, d, e, *_ = texts
    return [
        {"type": "phase", "phase": a, "state": "start", "total": 3},
        {"type": "step", "step": 4, "loss": 0.5, b: 0.25, "sources": {c: {"loss": 0.5}}},
        {"type": "save", "step": 4, "path": d, "seconds": 1.0, "bytes": 5, "verified": False},
        {"type": "warning", "code": "data.many_dropped", "text": e, "params": {"count": a, "total": b}},
        *({"type": "warning", "code": f"x.{text}", "text": text, "params": {}} for text in texts),
        {"type": "gates", "step": 4, "gates": [{"gate": a, "limit": 0.5, "value": b, "passed": False}]},
        {"type": "export", "path": c, "push": d, "proof": None},
        {"type": "end", "exit_code": 1, "code": a, "text": b, "params": {"path": c}},
    ]


def exports(texts: Texts) -> list[dict[str, Any]]:
    """The story of an export."""
    answers = [{"question": q, "before": b, "after": a} for q, b, a in zip(*[iter(texts)] * 3, strict=False)]
    return [
        {"type": "stage", "stage": texts[0], "state": "start"},
        {"type": "export", "path": texts[1], "push": texts[2], "proof": {texts[3]: texts[4]}, "bytes": 3},
        {"type": "answers", "answers": answers},
        {"type": "end", "exit_code": 1, "code": texts[5], "text": texts[6], "params": {}},
    ]


def hostile_config(texts: Texts) -> dict[str, Any]:
    """A config with these texts as values, most of which are wrong."""
    a, b, c, d, e, *_ = (re.sub(r"[\ud800-\udfff]", "", text) for text in texts)
    return {
        "run": {"name": a},
        "model": {"source": "local", "id": b, "dtype": c},
        "data": {"sources": [{"source": "local", "path": d, "format": e}]},
        "objective": {"loss": a, "beta": b},
    }


async def visit(folder: Path, roots: Sequence[Path], config: Path) -> None:
    """Every screen, and what opens over it."""
    recents = Recents(folder / "recent.json")
    recents.remember("config", str(roots[0]))
    app = DpoApp(folder / "runs", recents=recents)
    async with app.run_test(size=(120, 40)) as pilot:
        await look(pilot)
        app.open_monitor(roots[0])
        await look(pilot)
        await look(pilot, "w")
        await look(pilot, "escape", "c")
        await look(pilot, "escape")
        app.push_screen(QuitScreen([root.name for root in roots], str(roots[0])))
        await look(pilot)
        await look(pilot, "escape", "f1")
        await look(pilot, "escape")
        app.open_compare(roots)
        await look(pilot)
        app.open_export(roots[0])
        await look(pilot)
        app.open_wizard(config)
        await look(pilot)
        for _ in range(4):
            await look(pilot, "ctrl+n")


async def look(pilot: Pilot[Any], *keys: str) -> None:
    """Press keys, let everything be drawn, and read the screen."""
    await pilot.press(*keys)
    await wait_for(pilot, lambda: frame(pilot.app).strip())
    shown = frame(pilot.app)
    for line in shown.split("\n"):
        assert not STEERING.search(line), repr(line)
