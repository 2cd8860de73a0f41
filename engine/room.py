"""The memory of this machine against what the training at hand will take, and packs as large as it allows."""

import os

import psutil
import torch

from engine.cgroup import own_limit
from engine.config.schema import Config
from engine.kernels.head import LogprobHead
from engine.memory import MOST_TOKENS, Device, Setup
from engine.packing import STEPS_LOOKED_AT
from engine.pair_set import PairSet, schedule_of
from engine.policy import Policy
from engine.remedy import Pairs, largest_pack
from engine.rundir.files import read_json, write_json
from engine.rundir.paths import RunDir


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


def pairs_of(pairs: PairSet, evaluation: PairSet | None, config: Config, world: int) -> Pairs:
    """What of the pairs decides about memory: the longest of all, and the largest of the first steps."""
    schedule = schedule_of(config, pairs)
    steps = range(1, min(schedule.total_steps, STEPS_LOOKED_AT) + 1)
    largest_step = max(int(pairs.tokens[schedule.pairs_of(step)[1]].sum()) for step in steps)
    return Pairs(
        longest=max(int(some.tokens.max()) for some in (pairs, evaluation) if some is not None),
        allowed=2 * config.data.max_length,
        scored=float(pairs.rows.sum() / pairs.tokens.sum()),
        step=-(-largest_step // world),
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
    return min(psutil.virtual_memory().available + own, own_limit())


def _kind(policy: Policy) -> Device:
    return "cpu" if policy.base.device.type == "cpu" else "cuda"
