"""The app with the wizard alone: a blank page below it, no process that reads models, runs that cost nothing."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from textual.pilot import Pilot

from dpo_tui.app import DpoApp
from dpo_tui.preview import PreviewClient
from dpo_tui.screens.base import DpoScreen
from dpo_tui.wizard import machine, preflight
from dpo_tui.wizard.machine import Gpu, Machine
from dpo_tui.wizard.review import ReviewStep
from dpo_tui.wizard.screen import WizardScreen
from dpo_tui.wizard.step import Step
from engine.rundir.status import read_record
from tests.fake_engine import supervisor
from tests.tui.driving import wait_for

CONFIG = """\
# mine
[run]
name = "mine"          # a name

[model]
source = "local"
id = "model"

[[data.sources]]
source = "local"
path = "pairs.jsonl"

[train]
epochs = 2
"""


def stand_still(monkeypatch: pytest.MonkeyPatch, gpus: int = 0) -> None:
    """A machine and a disk that are the same on every machine."""
    seen = Machine(8, 32 * 10**9, (Gpu("NVIDIA H100 80GB HBM3", 80 * 10**9),) * gpus)
    monkeypatch.setattr(machine, "look", lambda: seen)
    monkeypatch.setattr(preflight, "free_bytes", lambda _: 500 * 10**9)


def silent_preview() -> PreviewClient:
    """Answers nothing, ever: the steps that ask it are tested by themselves."""
    return PreviewClient(lambda: ["sh", "-c", "while read line; do :; done"])


@contextmanager
def ended_with(folder: Path) -> Iterator[None]:
    """Runs that were started anywhere below the folder end with the block."""
    yield
    for record in map(read_record, folder.glob("*/*/run.json")):
        if record is not None and record.pid != os.getpid() and record.supervisor.alive():
            os.kill(record.pid, signal.SIGKILL)


class Blank(DpoScreen):
    """Where the list of runs would be."""


class WizardApp(DpoApp):
    """`monitored` are the runs whose monitors were opened."""

    def __init__(
        self, config: Path | None = None, runs_dir: Path | None = None, *, runs_given: bool = False
    ) -> None:
        super().__init__(
            runs_dir or Path.cwd() / "runs",
            runs_given=runs_given,
            config=config,
            new=config is None,
            supervisor=supervisor("--steps", "2"),
        )
        self.monitored: list[Path] = []

    def open_home(self) -> None:
        self.push_screen(Blank())

    def open_wizard(self, config: Path | None = None) -> None:
        preview = silent_preview()
        self.push_screen(WizardScreen(self.runs_dir, config, preview, runs_given=self.runs_given))

    def open_monitor(self, root: Path) -> None:
        self.monitored.append(root)

    @property
    def wizard(self) -> WizardScreen:
        """The wizard, wherever it is on the stack."""
        return next(screen for screen in self.screen_stack if isinstance(screen, WizardScreen))

    @property
    def step(self) -> Step:
        """The step one is at."""
        return next(step for step in self.wizard.query(Step) if step.display)


async def drawn(pilot: Pilot[Any]) -> None:
    """Wait until everything is drawn; what waits for the silent preview waits on."""
    for _ in range(3):
        await pilot.pause()


async def opened(pilot: Pilot[Any]) -> WizardApp:
    """The app once the wizard is drawn."""
    app = cast(WizardApp, pilot.app)
    await wait_for(pilot, lambda: isinstance(app.screen, WizardScreen) and app.screen.is_mounted)
    await pilot.pause()
    return app


async def at_review(pilot: Pilot[Any]) -> tuple[WizardApp, ReviewStep]:
    """The app at its last step, once all checks have looked."""
    app = await opened(pilot)
    await pilot.press(*["ctrl+n"] * 4)
    step = app.step
    assert isinstance(step, ReviewStep)
    await wait_for(pilot, lambda: not step.looking)
    await drawn(pilot)
    return app, step
