"""Looking at jobs and their runs from outside."""

import subprocess
from pathlib import Path

from safetensors.torch import load_file

from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import read_events
from engine.rundir.job import read_job
from engine.rundir.paths import RunDir
from engine.rundir.status import Status, read_status


def slurm_says(*words: str) -> str:
    """What a command of Slurm prints."""
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def job_of(run: RunDir) -> str:
    job = read_job(run.job_json)
    assert job is not None
    return job.id


def steps(run: RunDir) -> int:
    """The last step that was told."""
    told = [event["step"] for event in read_events(run.events) if event["type"] == "step"]
    return int(told[-1]) if told else 0


def ended(run: RunDir) -> Status | None:
    status = read_status(run.status_json)
    return status if status is not None and status.final else None


def weights(run: RunDir) -> bytes:
    """The bytes of the newest checkpoint's trained weights, all of them."""
    step = CheckpointIndex(run.checkpoints_dir).latest()
    folder = run.checkpoints_dir / f"step-{step}"
    files = sorted(folder.rglob("*.safetensors"))
    assert files, list(folder.rglob("*"))
    return b"".join(
        tensor.contiguous().view(-1).numpy().tobytes()
        for path in files
        for _, tensor in sorted(load_file(path).items())
    )


def supervisor(run: RunDir) -> Path:
    """The /proc entry of the run's supervisor, in the job."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and words_of(entry)[-2:] == ["run", str(run.root)]:
            return entry
    raise AssertionError("no supervisor is there")


def words_of(entry: Path) -> list[str]:
    try:
        return entry.joinpath("cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []


def ranks(run: RunDir) -> dict[int, int]:
    """The processes of the run's ranks, by rank."""
    found = {}
    for entry in Path("/proc").iterdir():
        if (
            entry.name.isdigit()
            and words_of(entry)[-2:] == ["rank", str(run.root)]
            and "-m" in words_of(entry)[:3]
        ):
            values = dict(
                part.partition(b"=")[::2] for part in entry.joinpath("environ").read_bytes().split(b"\0")
            )
            if b"SLURM_PROCID" in values:
                found[int(values[b"SLURM_PROCID"])] = int(entry.name)
    return found
