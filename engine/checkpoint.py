"""What a checkpoint holds: fp32 weights and AdamW moments as safetensors. No pickle, and no random state.

Everything random is a function of seed and step, so weights, moments and the step number are a run's whole state.
How a folder becomes a checkpoint, safely, is `rundir.checkpoints`.
"""

import platform
import shutil
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.exits import CannotWriteError, UnusableError
from engine.models.weights import save_trained
from engine.optimizer import MasterWeights
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import EventWriter

WEIGHTS_FILE = "weights.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"
VERSIONED = ("torch", "transformers", "accelerate", "peft", "safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a checkpoint belongs to: resuming under another identity would silently be another run."""

    config_digest: str
    data_digest: str
    model_digest: str
    world_size: int


def save(
    index: CheckpointIndex,
    weights: MasterWeights,
    events: EventWriter,
    *,
    step: int,
    epoch: float,
    metrics: dict[str, float],
    identity: Identity,
    keep: int,
) -> None:
    """Write, verify and announce the checkpoint of `step`, then prune older ones.

    Raises CannotWriteError; the checkpoints before are then untouched.
    """
    start = time.monotonic()
    events.phase("save", "start")
    staging = index.staging(step)
    with index.writing(step):
        save_trained(weights.weights, staging / WEIGHTS_FILE)
        save_file(weights.state(), staging / OPTIMIZER_FILE)
    path = index.commit(
        step,
        epoch=epoch,
        metrics=metrics,
        config_digest=identity.config_digest,
        data_digest=identity.data_digest,
        model_digest=identity.model_digest,
        world_size=identity.world_size,
        versions=versions(),
    )
    problem = index.verify(step)
    if problem is None:
        index.prune(keep)
    events.emit(
        "save",
        step=step,
        path=str(path),
        seconds=round(time.monotonic() - start, 3),
        bytes=sum(file.stat().st_size for file in path.iterdir()),
        verified=problem is None,
    )
    events.phase("save", "end")
    if problem is not None:
        raise UnusableError(
            "checkpoint.unverified",
            f"{path}: reads back differently than it was written ({problem}). Check the disk; earlier checkpoints "
            "were kept",
            path=str(path),
            problem=problem,
        )


def load(index: CheckpointIndex, step: int, weights: MasterWeights) -> None:
    """Put the weights and moments of a verified checkpoint back, bit for bit."""
    folder = index.path(step)
    device = next(iter(weights.weights.values())).device
    weights.load(_tensors(folder / WEIGHTS_FILE, str(device)), _tensors(folder / OPTIMIZER_FILE, str(device)))


def check_identity(index: CheckpointIndex, step: int, identity: Identity) -> None:
    """Raise UnusableError if the checkpoint belongs to another config, data, base model or world size."""
    manifest = index.manifest(step)
    for name in ("config_digest", "data_digest", "model_digest", "world_size"):
        theirs, ours = getattr(manifest, name), getattr(identity, name)
        if theirs != ours:
            what = name.removesuffix("_digest").replace("_", " ")
            raise UnusableError(
                "resume.changed",
                f"{index.path(step)}: was made with another {what} ({theirs}) than this run has ({ours}). Put it "
                "back as it was, or start a new run with --run NAME",
                what=what,
            )


def versions() -> dict[str, str]:
    """The versions that decide whether a resume can be bit for bit."""
    return {"python": platform.python_version()} | {name: version(name) for name in VERSIONED}


def _tensors(path: Path, device: str) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = load_file(path, device=device)
    return tensors


def require_space(folder: Path, weights: MasterWeights, keep: int) -> None:
    """Raise CannotWriteError unless `folder` has room for `keep` checkpoints and the one being written.

    A checkpoint is three fp32 numbers a trained weight: the weight and its two moments.
    """
    each = 12 * sum(weight.numel() for weight in weights.weights.values())
    needed, free = (keep + 1) * each, shutil.disk_usage(folder).free
    if free < needed:
        gib = 1 << 30
        raise CannotWriteError(
            "checkpoint.no_space",
            f"{folder}: {free / gib:.1f} GiB free, {needed / gib:.1f} GiB needed for {keep + 1} checkpoints of "
            f"{each / gib:.1f} GiB. Free space, set train.keep lower, or put [run] dir on another disk",
            path=str(folder),
            free=free,
            needed=needed,
        )
