"""The app at its list of runs: what its keys would open is only noted."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from dpo_tui.app import DpoApp
from dpo_tui.widgets.run_table import RunTable
from tests.tui.driving import settle, wait_for
from tests.tui.fake_runs import NOW, OUT_OF_MEMORY, make_run


class Home(DpoApp):
    """The app whose other screens are only noted."""

    def __init__(self, runs_dir: Path) -> None:
        super().__init__(runs_dir)
        self.opened: list[object] = []

    def open_monitor(self, root: Path) -> None:
        self.opened.append(("monitor", root.name))

    def open_wizard(self, config: Path | None = None) -> None:
        self.opened.append(("wizard", config))

    def open_export(self, root: Path) -> None:
        self.opened.append(("export", root.name))

    def open_compare(self, roots: Sequence[Path]) -> None:
        self.opened.append(("compare", [root.name for root in roots]))

    def run_started(self, root: Path) -> None:
        self.opened.append(("started", root.name))


def many(runs_dir: Path) -> None:
    """A run of each kind."""
    make_run(runs_dir, "zephyr-7b-orpo", "running", steps=412, total=600)
    make_run(runs_dir, "internlm2-sweep", None, events=False, live=True, launcher="slurm", job_id="81234")
    make_run(runs_dir, "smollm2-concise", "done", total=300, heard=NOW - 7300)
    make_run(
        runs_dir,
        "qwen-long",
        "failed",
        steps=37,
        total=900,
        save_every=20,
        reason=OUT_OF_MEMORY,
        heard=NOW - 90_000,
    )
    make_run(runs_dir, "tulu [b]3", "stopped", steps=40, total=120, heard=NOW - 300_000)
    damaged = make_run(runs_dir, "deleted-config", "done", total=10)
    damaged.config.unlink()
    os.utime(damaged.root, (NOW - 400_000, NOW - 400_000))


def three(runs_dir: Path) -> None:
    """Three runs that have ended, the newest "a"."""
    for number, name in enumerate("abc"):
        make_run(runs_dir, name, "done", total=10, heard=NOW - 100 - number)


@asynccontextmanager
async def listing(
    runs_dir: Path, rows: int, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Pilot[int], Home]]:
    """The app once it shows this many runs."""
    async with Home(runs_dir).run_test(size=size) as pilot:
        yield pilot, await listed(pilot, rows)


async def listed(pilot: Pilot[int], rows: int) -> Home:
    """Wait until this many runs are shown with their curves."""
    app = pilot.app
    assert isinstance(app, Home)
    await wait_for(pilot, lambda: len(app.screen.query_one(RunTable)._rows) == rows)
    await wait_for(pilot, lambda: not app.screen._reading)  # type: ignore[attr-defined]
    await settle(pilot)
    return app


def current(app: Home) -> str:
    """The run under the cursor."""
    row = app.screen_stack[1].query_one(RunTable).current
    return row.name if row else ""
