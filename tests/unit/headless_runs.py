"""Runs that the tests of headless start, follow and wait for."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from dpo_tui.headless import launch
from engine.exits import Exit
from engine.rundir.events import effective_steps, read_events
from engine.rundir.paths import RunDir
from tests.fake_engine import SCRIPT, supervisor
from tests.waiting import until

STARTED: list[subprocess.Popen[str]] = []


def run_of(config: Path, name: str = "tiny") -> RunDir:
    return RunDir(config.parent / "runs" / name)


def start_headless(config: Path, *options: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    argv = [*SCRIPT, "headless", str(config), *options]
    process = subprocess.Popen(argv, stdout=stdout, stderr=subprocess.PIPE, text=True)
    STARTED.append(process)
    return process


def steps_of(run: RunDir) -> int:
    return len(effective_steps(read_events(run.events)))


def wait_for_steps(run: RunDir) -> int:
    """Wait for some steps; returns the pid of rank 0."""
    until(lambda: steps_of(run) > 2)
    return int((run.root / "rank-0.pid").read_text())


def launch_with(config: Path, *behaviour: str, resume: bool = False, overrides: Sequence[str] = ()) -> Exit:
    return launch(config, supervisor=supervisor(*behaviour), resume=resume, overrides=overrides)
