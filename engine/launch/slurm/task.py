"""One task of a job's step: a training process, told by srun which of them it is."""

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.exits import COMMON_ENDS, Exit
from engine.launch.slurm.job import STEP
from engine.rundir.files import write_json, writing
from engine.rundir.paths import RunDir


def in_step(environment: Mapping[str, str]) -> bool:
    """Whether this process is a task that srun started for a run's supervisor."""
    return STEP in environment and "SLURM_PROCID" in environment


def run_task(run: RunDir, train: Callable[[Path], Exit]) -> Exit:
    """Be the task's rank: `train`, into the rank's own log, and leave how it ended for the supervisor.

    TERM comes from scancel to all processes of a job alike. The supervisor turns it into a request to save and
    stop, which this process answers; Slurm kills what is left after its own patience.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    rank = _take_rank(os.environ)
    _write_to(run, rank)
    code = Exit.TRAINING_FAILED
    try:
        code = train(run.root)
    finally:
        write_json(run.rank_exit(rank), {"code": int(code)})
    return Exit.DONE if code in COMMON_ENDS else code  # at any other srun ends all ranks


def _take_rank(environment: "os._Environ[str]") -> int:
    """srun's numbers under the names of torch's launchers."""
    environment["RANK"] = environment["SLURM_PROCID"]
    environment["LOCAL_RANK"] = environment["SLURM_LOCALID"]
    if environment.get("WORLD_SIZE") == "1":  # alone: nobody to meet
        for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
            environment.pop(name, None)
        return 0
    return int(environment["RANK"])


def _write_to(run: RunDir, rank: int) -> None:
    """Let stdout and stderr go to the rank's log, whatever machine it is on."""
    log = run.rank_log(rank)
    with writing(log):
        log.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
