"""The Slurm job that this process is in: its id, where its ranks meet, and how it queues itself again."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from engine.exits import EnvironmentUnfitError
from engine.launch.slurm.command import order

STEP = "DPO_TUI_STEP"
"""Set for the tasks that a run's supervisor starts, to tell them from one that a person starts with srun."""

_FIRST_PORT = 20_000
_PORTS = 10_000


@dataclass(frozen=True, slots=True)
class Job:
    """The job by its environment. `id` is what squeue and scancel take."""

    id: str
    number: int
    """Unique among all jobs, also among the tasks of an array."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Job":
        """The job around this process. Raises EnvironmentUnfitError where there is none."""
        number = environment.get("SLURM_JOB_ID", "")
        if not number.isdigit():
            raise EnvironmentUnfitError(
                "slurm.no_job",
                "launch.launcher is 'slurm', and this is no Slurm job: start the run with "
                "`dpo-tui --headless CONFIG`, which sends one",
            )
        array, task = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
        return cls(f"{array}_{task}" if array and task else number, int(number))

    def meeting(self, world: int) -> dict[str, str]:
        """Where the ranks find each other: the job's first machine, which is this one, at a port by the job's id."""
        port = _FIRST_PORT + self.number % _PORTS
        return {
            "MASTER_ADDR": os.environ.get("SLURMD_NODENAME") or socket.gethostname(),
            "MASTER_PORT": str(next((p for p in range(port, port + 100) if _free(p)), port)),
            "WORLD_SIZE": str(world),
            STEP: self.id,
        }

    def requeue(self) -> str:
        """Queue it again; returns what scontrol said against it, empty where it did. Slurm then ends this process."""
        return order(["scontrol", "requeue", str(self.number)])


def _free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("", port))
        except OSError:
            return False
    return True
