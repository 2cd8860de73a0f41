"""As the first process of a container: it hears SIGTERM, collects what others leave, and goes on elsewhere."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from engine.exits import Exit
from engine.launch.local import supervisor_command
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.paths import RunDir
from engine.rundir.status import read_status
from tests.cluster.conftest import children, command, processes, start, trained_a_step, write_config
from tests.engine.runs import make_run
from tests.waiting import until

LONG = "train.max_steps=4000"


@pytest.fixture
def config(tmp_path: Path, model: Path, pairs: Path) -> Path:
    return write_config(tmp_path, tmp_path / "runs", model, pairs)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "runs" / "tiny")


def contained(container: list[str], words: list[str]) -> tuple[subprocess.Popen[bytes], int]:
    """A command inside a container, and the pid that its first process has outside."""
    process = subprocess.Popen(
        [*container, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    (first,) = until(lambda: children(process.pid))
    return process, first


@pytest.fixture
def words_of_the_command(config: Path) -> list[str]:
    return command("--headless", config, "--set", LONG)


@pytest.fixture
def words_of_the_supervisor(tmp_path: Path, model: Path, pairs: Path) -> list[str]:
    return supervisor_command(make_run(tmp_path / "runs", "tiny", model, pairs, LONG), None)


@pytest.mark.parametrize("who", ["command", "supervisor"])
def test_the_first_process_hears_sigterm_and_leaves_no_zombies(
    container: list[str], run: RunDir, request: pytest.FixtureRequest, who: str
) -> None:
    process, first = contained(container, request.getfixturevalue(f"words_of_the_{who}"))
    trained_a_step(run)
    own = set(children(first))
    inside = ["nsenter", f"--target={first}", "--pid", "--mount"]
    starter = subprocess.Popen([*inside, "sh", "-c", "exec 3<&0; (cat <&3 &)"], stdin=subprocess.PIPE)
    assert starter.stdin is not None
    assert starter.wait(30) == 0
    (orphan,) = until(lambda: set(children(first)) - own)
    starter.stdin.close()
    until(lambda: not Path(f"/proc/{orphan}").exists())
    assert set(children(first)) == own

    os.kill(first, signal.SIGTERM)
    assert process.wait(90) == Exit.STOPPED
    status = read_status(run.status_json)
    assert status is not None
    assert status.state == "stopped"
    assert CheckpointIndex(run.checkpoints_dir).latest()
    assert processes(run.root) == []


def test_a_container_that_is_killed_whole_goes_on_elsewhere(
    container: list[str], config: Path, run: RunDir, words_of_the_command: list[str]
) -> None:
    process, _ = contained(container, words_of_the_command)
    trained_a_step(run)
    index = CheckpointIndex(run.checkpoints_dir)
    reached = until(lambda: index.latest())
    process.kill()
    process.wait()
    until(lambda: not processes(run.root))
    resumed = start("--headless", config, "--set", LONG, "--resume")
    until(lambda: (index.latest() or 0) > (reached or 0), 90)
    resumed.send_signal(signal.SIGTERM)
    assert resumed.wait(90) == Exit.STOPPED
