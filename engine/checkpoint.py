"""What a checkpoint holds: fp32 weights and AdamW moments as safetensors. No pickle, and no random state.

Everything random is a function of seed and step, so weights, moments and the step number are a run's whole state.
How a folder becomes a checkpoint, safely, is `rundir.checkpoints`.
"""

import platform
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engine.exits import CannotWriteError, UnusableError
from engine.parallel.processes import Processes
from engine.parallel.strategy import Strategy
from engine.rundir.checkpoints import CheckpointIndex
from engine.stored import Stored

VERSIONED = ("torch", "transformers", "accelerate", "deepspeed", "peft", "safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a checkpoint belongs to: resuming under another identity would silently be another run."""

    config_digest: str
    data_digest: str
    model_digest: str
    world_size: int


def write(
    index: CheckpointIndex,
    strategy: Strategy,
    processes: Processes,
    *,
    step: int,
    epoch: float,
    metrics: dict[str, float],
    identity: Identity,
) -> Path:
    """Write the checkpoint of `step`, all processes together; returns its folder.

    Raises CannotWriteError when the disk refuses, UnusableError when what was written reads back differently; the
    checkpoints before are then untouched.
    """
    staging = processes.share(index.staging(step) if processes.leads else index.directory)
    with index.writing(step):
        strategy.save(staging)
    processes.wait()
    if processes.leads:
        _seal(index, step, epoch, metrics, identity)
    processes.wait()
    return index.path(step)


def _seal(
    index: CheckpointIndex, step: int, epoch: float, metrics: dict[str, float], identity: Identity
) -> None:
    """Make what all have staged a checkpoint, and read it again."""
    path = index.commit(step, epoch=epoch, metrics=metrics, versions=versions(), **asdict(identity))
    if problem := index.verify(step):
        raise UnusableError(
            "checkpoint.unverified",
            f"{path}: reads back differently than it was written ({problem}). Check the disk; earlier checkpoints "
            "were kept",
            path=str(path),
            problem=problem,
        )


def load(index: CheckpointIndex, step: int, strategy: Strategy) -> None:
    """Put the weights and moments of a verified checkpoint back, bit for bit."""
    strategy.load(Stored(index.path(step)))


def check_identity(index: CheckpointIndex, step: int, identity: Identity) -> None:
    """Raise UnusableError if the checkpoint belongs to another config, data or base model."""
    manifest = index.manifest(step)
    for name in ("config_digest", "data_digest", "model_digest"):
        theirs, ours = getattr(manifest, name), getattr(identity, name)
        if theirs != ours:
            what = name.removesuffix("_digest").replace("_", " ")
            raise UnusableError(
                "resume.changed",
                f"{index.path(step)}: was made with another {what} ({theirs}) than this run has ({ours}). Put it "
                "back as it was, or start a new run with --run NAME",
                what=what,
                path=str(index.path(step)),
                theirs=theirs,
                ours=ours,
            )


def versions() -> dict[str, str]:
    """The versions that decide whether a resume can be bit for bit."""
    found = {"python": platform.python_version()} | {name: version(name) for name in VERSIONED}
    with suppress(PackageNotFoundError):  # an extra
        found["bitsandbytes"] = version("bitsandbytes")
    return found


def require_space(index: CheckpointIndex, trained: int, copies: int) -> None:
    """Raise CannotWriteError unless there is room for `copies` checkpoints, those counted that are there already.

    A checkpoint is three fp32 numbers for each of the `trained` weights: the weight and its two moments.
    """
    each = 12 * trained
    needed = max(1, copies - len(index.steps())) * each
    free = shutil.disk_usage(index.directory.parent).free
    if free < needed:
        raise CannotWriteError(
            "checkpoint.no_space",
            f"{index.directory}: {_size(free)} free, {_size(needed)} more needed for checkpoints of "
            f"{_size(each)} each. Free space, set train.keep lower, or put [run] dir on another disk",
            path=str(index.directory),
            free=free,
            needed=needed,
            sizes=[_size(free), _size(needed), _size(each)],
        )


def _size(count: int) -> str:
    """Bytes in the unit a person thinks of."""
    gib, mib = 1 << 30, 1 << 20
    return f"{count / gib:.1f} GiB" if count >= gib else f"{count / mib:.1f} MiB"
