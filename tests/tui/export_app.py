"""The export screen alone: nothing below it, exports that are played, and a run that can be exported."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from dpo_tui import exporting
from dpo_tui.app import DpoApp
from dpo_tui.hub.login import Login
from dpo_tui.screens import export_actions as screen_module
from dpo_tui.screens.export import ExportScreen
from engine.rundir.paths import RunDir
from tests.fake_engine import CONFIG
from tests.fake_export import COMMAND, played
from tests.tui.driving import assert_sound, frame, settle, wait_for
from tests.tui.fake_runs import make_run

LORA = CONFIG + "[model.lora]\nrank = 8\n"


class Bare(DpoApp):
    """The app with nothing under the export screen."""

    def __init__(self, run: RunDir) -> None:
        super().__init__(run.root.parent)
        self.shown = run

    def open_home(self) -> None:
        self.push_screen(ExportScreen(self.shown.root))


def play_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports cost nothing, and somebody is logged in."""
    monkeypatch.setattr(exporting, "ENGINE", COMMAND)
    monkeypatch.setattr(screen_module, "login", lambda: Login("ok", "me"))


@contextmanager
def exportable(runs_dir: Path) -> Iterator[RunDir]:
    """A run with checkpoints and an adapter; an export of it ends with the test."""
    run = make_run(runs_dir, "smollm2-concise", total=300, save_every=100, config=LORA)
    yield run
    if (process := exporting._ours.pop(run.root, None)) is not None:
        process.kill()
        process.wait()


def play(monkeypatch: pytest.MonkeyPatch, **wishes: Any) -> None:
    """What the next export does."""
    for name, value in played(**wishes).items():
        monkeypatch.setenv(name, value)


@asynccontextmanager
async def opened(
    run: RunDir, mode: str, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[Pilot[int], Bare]]:
    """The export screen of a run, once it shows its form or its story."""
    async with Bare(run).run_test(size=size) as pilot:
        yield pilot, await at(pilot, mode)


async def at(pilot: Pilot[int], mode: str) -> Bare:
    """Wait until the form or the story is shown."""
    app = pilot.app
    assert isinstance(app, Bare)
    await wait_for(pilot, lambda: app.screen.has_class(f"-{mode}"))
    await settle(pilot)
    return app


async def drawn(pilot: Pilot[int]) -> str:
    """The frame once nothing changes any more."""
    frames = [""]
    await wait_for(pilot, lambda: frames.append(frame(pilot.app)) or frames[-3:] == [frames[-1]] * 3)  # type: ignore[func-returns-value]
    assert_sound(pilot.app)
    return frame(pilot.app)


def asked(run: RunDir) -> list[str]:
    """The words that the export was started with."""
    words: list[str] = json.loads((run.root / "argv.json").read_text())
    return words
