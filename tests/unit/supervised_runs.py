"""What the tests of the supervisor start, and what they read of a run."""

import subprocess
from collections.abc import Callable

from engine.rundir.paths import RunDir
from engine.rundir.status import Status, read_status
from tests.waiting import until

Start = Callable[..., subprocess.Popen[bytes]]


def status_of(run: RunDir) -> Status:
    status = read_status(run.status_json)
    assert status is not None
    return status


def pid_of(run: RunDir, name: str) -> int:
    path = run.root / f"{name}.pid"
    return int(until(lambda: path.exists() and path.read_text()))
