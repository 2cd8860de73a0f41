"""What a run's directory says of the job that was sent to a cluster for it (`job.json`)."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.rundir.files import number, read_json, write_json


@dataclass(frozen=True, slots=True)
class JobRecord:
    """The job by the `id` that squeue takes, with its `cluster` where Slurm named one, and when it was sent."""

    id: str
    submitted: float
    """Unix time."""
    cluster: str | None = None
    script: str = ""
    """The script that was sent."""


def write_job(path: Path, id_: str, cluster: str | None, script: Path) -> None:
    """Replace the record by that of a job sent just now. Raises CannotWriteError."""
    write_json(path, asdict(JobRecord(id_, time.time(), cluster, str(script))))


def read_job(path: Path) -> JobRecord | None:
    """The record in `path`, or None when there is none that can be understood."""
    value = read_json(path)
    if value is None or not isinstance(value.get("id"), str):
        return None
    cluster = value.get("cluster")
    return JobRecord(
        id=value["id"],
        submitted=number(value.get("submitted")) or 0.0,
        cluster=cluster if isinstance(cluster, str) else None,
        script=str(value.get("script", "")),
    )
