"""Commands of a run on this machine: pure functions, and the one spawn that starts its supervisor."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping

from engine.process import ProcessId
from engine.rundir.files import writing
from engine.rundir.paths import RunDir

ENGINE = (sys.executable, "-P", "-m", "engine")
"""The engine as a process of its own. -P: a folder named engine in the working directory is not ours."""

SupervisorCommand = Callable[[RunDir, ProcessId | None], list[str]]

STOPPING_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def supervisor_command(run: RunDir, owner: ProcessId | None) -> list[str]:
    """The argv of a run's supervisor; the run ends when `owner` does."""
    owned = ["--owner", f"{owner.pid}:{owner.start_time}"] if owner else []
    return [*ENGINE, "run", str(run.root), *owned]


def rank_command(run: RunDir, rank: int, world: int, port: int = 0) -> tuple[list[str], dict[str, str]]:
    """The argv of one training process, and what its environment has on top of the supervisor's.

    With a `world` above 1 the ranks meet at `port` of this machine.
    """
    argv = [*ENGINE, "rank", str(run.root)]
    if world == 1:
        return argv, {}
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return argv, {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), **meeting}


def supervisor_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a run whose output goes to files: no colours, no bars, no buffers."""
    quiet = {
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
        "TQDM_DISABLE": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    return {"TOKENIZERS_PARALLELISM": "true", **environment, **quiet}


def spawn_supervisor(
    run: RunDir, owner: bool, command: SupervisorCommand = supervisor_command
) -> subprocess.Popen[bytes]:
    """Start a run's supervisor in its own session, its output appended to `train.log`.

    With `owner` the run ends when this process does. INT, TERM and HUP are blocked in the new process until
    it listens to them, so that one sent at once is not lost. Raises CannotWriteError.
    """
    argv = command(run, ProcessId.own() if owner else None)
    with writing(run.train_log):
        log = os.open(run.train_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING_SIGNALS)
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=supervisor_environment(os.environ),
            start_new_session=True,
            close_fds=True,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(log)
