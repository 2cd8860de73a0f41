"""What a checkpoint holds: fp32 weights and AdamW moments as safetensors. No pickle, and no random state.

Everything random is a function of seed and step, so weights, moments and the step number are a run's whole state.
How a folder becomes a checkpoint, safely, is `rundir.checkpoints`.
"""

import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from engine.exits import CannotWriteError, UnusableError
from engine.models.weights import WEIGHTS_FILE, save_tensors, save_trained
from engine.optimizer import MasterWeights
from engine.rundir.checkpoints import CheckpointIndex

OPTIMIZER_FILE = "optimizer.safetensors"
VERSIONED = ("torch", "transformers", "accelerate", "peft", "safetensors")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a checkpoint belongs to: resuming under another identity would silently be another run."""

    config_digest: str
    data_digest: str
    model_digest: str
    world_size: int


def write(
    index: CheckpointIndex,
    weights: MasterWeights,
    *,
    step: int,
    epoch: float,
    metrics: dict[str, float],
    identity: Identity,
) -> Path:
    """Write the checkpoint of `step`; returns its folder.

    Raises CannotWriteError when the disk refuses, UnusableError when what was written reads back differently; the
    checkpoints before are then untouched.
    """
    staging = index.staging(step)
    with index.writing(step):
        save_trained(weights.weights, staging / WEIGHTS_FILE)
        save_tensors(weights.state(), staging / OPTIMIZER_FILE)
    path = index.commit(step, epoch=epoch, metrics=metrics, versions=versions(), **asdict(identity))
    if problem := index.verify(step):
        raise UnusableError(
            "checkpoint.unverified",
            f"{path}: reads back differently than it was written ({problem}). Check the disk; earlier checkpoints "
            "were kept",
            path=str(path),
            problem=problem,
        )
    return path


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
                path=str(index.path(step)),
                theirs=theirs,
                ours=ours,
            )


def versions() -> dict[str, str]:
    """The versions that decide whether a resume can be bit for bit."""
    return {"python": platform.python_version()} | {name: version(name) for name in VERSIONED}


def _tensors(path: Path, device: str) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = load_file(path, device=device)
    return tensors


def require_space(index: CheckpointIndex, weights: MasterWeights, copies: int) -> None:
    """Raise CannotWriteError unless there is room for `copies` checkpoints, those counted that are there already.

    A checkpoint is three fp32 numbers a trained weight: the weight and its two moments.
    """
    each = 12 * sum(weight.numel() for weight in weights.weights.values())
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
