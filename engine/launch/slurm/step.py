"""The training processes of a job: one `srun` on all its nodes, which ends them all when one of them fails."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from engine.config.local import local_inputs
from engine.config.schema import Config
from engine.exits import EnvironmentUnfitError, UsageError
from engine.launch.local import ENGINE
from engine.launch.ranks import RankExit
from engine.launch.slurm.job import Job
from engine.rundir.files import read_json, writing
from engine.rundir.paths import RunDir

_TOLD = re.compile(r"srun: error: [^\s:]+: tasks? ([0-9]+)[^:]*: (.*)")
"""What srun says of a task that failed: the first of them started it."""
_SIGNALS = {"Killed": signal.SIGKILL, "Out Of Memory": signal.SIGKILL, "Terminated": signal.SIGTERM}


def step_command(run: RunDir, config: Config) -> list[str]:
    """The argv of srun: a rank for each task, in the container where there is one.

    `--wait=0`: rank 0 exports when the others have ended, which no site's patience may cut short. Raises UsageError
    for a folder whose name no container can be told.
    """
    launch, job = config.launch, config.launch.job
    srun = [
        "srun",
        "--kill-on-bad-exit=1",
        "--wait=0",
        "--input=none",
        "--export=ALL",
        f"--nodes={job.nodes}",
        f"--ntasks={launch.world}",
        f"--ntasks-per-node={launch.per_node}",
    ]
    if job.cpus_per_task is not None:
        srun.append(f"--cpus-per-task={job.cpus_per_task}")
    rank = ["-P", "-m", "engine", "rank", str(run.root)]
    if job.container is None:
        return [*srun, ENGINE[0], *rank]
    folders = visible_folders(run, config)
    if strange := next((folder for folder in folders if re.search("[:,]", folder)), None):
        text = f"{strange} cannot be mounted into a container: ':' and ',' have meanings of their own there. Rename it"
        raise UsageError("slurm.mount", text, folder=strange)
    if job.container_runtime == "pyxis":
        mounts = ",".join(f"{folder}:{folder}" for folder in folders)
        return [
            *srun,
            f"--container-image={job.container}",
            f"--container-mounts={mounts}",
            job.container_python,
            *rank,
        ]
    opened = [job.container_runtime, "exec", *(["--nv"] if job.gpus_per_node else [])]
    for folder in folders:
        opened += ["--bind", folder]
    return [*srun, *opened, job.container, job.container_python, *rank]


def visible_folders(run: RunDir, config: Config) -> list[str]:
    """What a container has to see: the run, what it reads, where it exports to, and the cache."""
    job = config.launch.job
    read = [path if os.path.isdir(path) else str(Path(path).parent) for _, path in local_inputs(config)]
    exported = [] if config.export.to is None else [str(Path(config.export.to).parent)]
    cache = [] if job.cache is None else [job.cache]
    return [*dict.fromkeys([str(run.root), *read, *exported, *cache, *(job.container_mounts or [])])]


class StepRanks:
    """The ranks of a job, as the supervisor sees them: one srun, and what each rank left of its end."""

    def __init__(self, run: RunDir, config: Config, job: Job) -> None:
        self._run = run
        self._config = config
        self._job = job
        self._srun: subprocess.Popen[bytes] | None = None
        self._log = 0

    def start(self, environment: Mapping[str, str]) -> None:
        """Start all of them; what srun says goes to the log. Raises EnvironmentUnfitError where it cannot start."""
        world = self._config.launch.world
        for rank in range(world):
            self._run.rank_exit(rank).unlink(missing_ok=True)
        self._log = self._run.train_log.stat().st_size if self._run.train_log.exists() else 0
        with writing(self._run.ranks_dir):
            self._run.ranks_dir.mkdir(mode=0o700, exist_ok=True)
        with writing(self._run.train_log):
            log = self._run.train_log.open("ab")
        with log:
            self._srun = self._started(log, {**environment, **self._job.meeting(world)})

    @property
    def running(self) -> int:
        """Whether srun has not ended: it waits for all of them."""
        return int(self._srun is not None and self._srun.returncode is None)

    def ended(self) -> list[RankExit]:
        """Once srun has ended, how each rank did, the one that ended all others first."""
        if not self.running or self._srun is None or (code := self._srun.poll()) is None:
            return []
        return rank_exits(self._run, self._config.launch.world, code, self._told())

    def send(self, number: signal.Signals) -> None:
        """Pass a signal to srun, which ends the ranks; those that outlive it end with the job."""
        if self.running:
            assert self._srun is not None
            self._srun.send_signal(number)

    def reap_strays(self) -> None:
        """A job's strays are Slurm's."""

    def _started(self, log: BinaryIO, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        try:
            return subprocess.Popen(
                step_command(self._run, self._config),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(environment),
                process_group=0,
                close_fds=True,
            )
        except OSError as error:
            text = (
                f"srun cannot be started in the job: {error}. See whether modules or setup of [launch.slurm] have "
                "changed PATH"
            )
            raise EnvironmentUnfitError("slurm.no_srun", text, detail=str(error)) from error

    def _told(self) -> str:
        with self._run.train_log.open("rb") as log:
            log.seek(self._log)
            return log.read().decode(errors="replace")


def rank_exits(run: RunDir, world: int, returned: int, told: str) -> list[RankExit]:
    """How the ranks ended: of a failure the rank that srun told of first, since the others ended by its end.

    Without one, what each rank left; else what srun `returned`, for the first rank that left nothing.
    """
    left = {rank: code for rank in range(world) if (code := read_exit(run, rank)) is not None}
    for line in told.splitlines():
        if match := _TOLD.search(line):
            rank = int(match[1])
            return [RankExit(rank, left.get(rank, _code(match[2])))]
    if len(left) == world:
        return [RankExit(rank, code) for rank, code in left.items()]
    lost = next(rank for rank in range(world) if rank not in left)
    return [RankExit(lost, returned if returned <= 128 else 128 - returned)]


def read_exit(run: RunDir, rank: int) -> int | None:
    """The exit code that a rank left; None where it left none."""
    value = read_json(run.rank_exit(rank))
    code = value.get("code") if value else None
    return code if isinstance(code, int) else None


def _code(words: str) -> int:
    """An exit code, or minus a signal, from srun's words."""
    if match := re.search(r"exit code ([0-9]+)", words):
        return int(match[1])
    named = next((number for word, number in _SIGNALS.items() if word in words), signal.SIGKILL)
    return -int(named)
