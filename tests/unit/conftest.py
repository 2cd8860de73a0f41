"""What the unit tests share: a config, a run and a supervisor that end with the test, and a fast directory."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.launch.local import spawn_supervisor
from engine.rundir.paths import RunDir
from engine.rundir.status import read_record
from tests.fake_engine import CONFIG, supervisor, write_config
from tests.unit.headless_runs import STARTED
from tests.unit.supervised_runs import Start


@pytest.fixture
def tiny_config(tmp_path: Path) -> Iterator[Path]:
    """A config; whatever was started from it is killed at the end of the test."""
    yield write_config(tmp_path)
    for process in STARTED:
        process.kill()
        process.communicate()
    STARTED.clear()
    for record in map(read_record, (tmp_path / "runs").glob("*/run.json")):
        if record is not None and record.pid != os.getpid() and record.supervisor.alive():
            os.kill(record.pid, signal.SIGKILL)


@pytest.fixture
def tiny_run(tmp_path: Path) -> RunDir:
    """A run that has not started."""
    directory = RunDir(tmp_path / "tiny")
    directory.root.mkdir()
    directory.config.write_text(CONFIG)
    return directory


@pytest.fixture
def start_tiny(tiny_run: RunDir) -> Iterator[Start]:
    """Starts the supervisor of `tiny_run` as a process of its own; it is killed at the end of the test."""
    started: list[subprocess.Popen[bytes]] = []

    def starter(*options: str, owner: bool = False) -> subprocess.Popen[bytes]:
        started.append(spawn_supervisor(tiny_run, owner=owner, command=supervisor(*options)))
        return started[-1]

    yield starter
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A directory in memory, where flushing costs nothing."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as path:
        yield Path(path)
