"""The memory of this machine against what the training at hand will take, and packs as large as it allows."""

import os
from pathlib import Path

import psutil
import torch

from engine.config.schema import Config
from engine.kernels.head import LogprobHead
from engine.memory import MOST_TOKENS, Device, Setup
from engine.pair_set import PairSet
from engine.policy import Policy
from engine.remedy import Pairs, largest_pack
from engine.rundir.files import read_json, write_json
from engine.rundir.paths import RunDir

CGROUP = Path("/sys/fs/cgroup")
NO_LIMIT = 1 << 62


def setup_of(config: Config, policy: Policy, trained: int, world: int, *, compiled: bool) -> Setup | None:
    """How this policy is trained; None for a model whose config does not tell its sizes."""
    shape = policy.shape
    if shape is None:
        return None
    return Setup(
        shape=shape,
        trained=trained,
        itemsize=policy.base.dtype.itemsize,
        adapters=config.model.lora is not None,
        device=_kind(policy),
        world=world,
        strategy="single" if world == 1 else "ddp",
        compiled=compiled,
        native=policy.native and policy.mode != "single",
        checkpointing=config.train.gradient_checkpointing,
        fused=isinstance(policy.base.get_output_embeddings(), LogprobHead),
    )


def pairs_of(pairs: PairSet, config: Config, world: int) -> Pairs:
    """What of the pairs decides about memory."""
    mean = float(pairs.tokens.mean())
    return Pairs(
        longest=int(pairs.tokens.max()),
        allowed=2 * config.data.max_length,
        scored=float(pairs.rows.sum() / pairs.tokens.sum()),
        step=max(1, round(mean * config.train.pairs_per_step / world)),
    )


def with_pack_size(config: Config, run: RunDir, policy: Policy, setup: Setup | None, pairs: Pairs) -> Config:
    """`config` with a number where it says auto: as many tokens as fit, and for a resumed run those of its start.

    Raises CannotWriteError.
    """
    if config.train.tokens_per_pack != "auto":
        return config
    size = _recorded(run)
    if size is None:
        most = MOST_TOKENS[_kind(policy)]
        size = max(most, pairs.longest) if setup is None else largest_pack(setup, pairs, room(policy), most)
        write_json(run.packs_json, {"tokens_per_pack": size})
    return config.model_copy(update={"train": config.train.model_copy(update={"tokens_per_pack": size})})


def _recorded(run: RunDir) -> int | None:
    size = (read_json(run.packs_json) or {}).get("tokens_per_pack")
    return size if isinstance(size, int) and size > 0 else None


def room(policy: Policy) -> int:
    """Bytes this process may take on its device: what is free, and what it holds already."""
    if _kind(policy) == "cuda":
        free, _ = torch.cuda.mem_get_info(policy.base.device)
        return free + torch.cuda.memory_reserved(policy.base.device)
    own = psutil.Process(os.getpid()).memory_info().rss
    try:
        groups = Path("/proc/self/cgroup").read_text()
    except OSError:
        groups = ""
    return min(psutil.virtual_memory().available + own, limit_of_group(groups))


def limit_of_group(groups: str) -> int:
    """What a control group, a container's or a job's, lets its processes take: `groups` is /proc/self/cgroup."""
    lines = (line.split(":", 2) for line in groups.splitlines())
    inner = [CGROUP / parts[2].strip("/") for parts in lines if len(parts) == 3]
    folders = {folder for path in inner for folder in (path, *path.parents) if folder.is_relative_to(CGROUP)}
    return min((_limit_in(folder) for folder in folders), default=NO_LIMIT)


def _limit_in(folder: Path) -> int:
    try:
        text = (folder / "memory.max").read_text().strip()
    except OSError:
        return NO_LIMIT
    return int(text) if text.isdigit() else NO_LIMIT


def _kind(policy: Policy) -> Device:
    return "cpu" if policy.base.device.type == "cpu" else "cuda"
