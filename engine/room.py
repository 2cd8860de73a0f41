"""The memory of this machine against what the training at hand will take, and packs as large as it allows."""

import os
from typing import get_args

import psutil
import torch

from engine.cgroup import own_limit
from engine.choices import kept_choice
from engine.config.schema import Config
from engine.forecast import setup_by
from engine.kernels.head import LogprobHead
from engine.launch.strategy import choose_strategy
from engine.memory import MOST_TOKENS, Device, Setup, Strategy
from engine.models.nf4 import packed_weights
from engine.packing import STEPS_LOOKED_AT
from engine.pair_set import PairSet, schedule_of
from engine.parallel.processes import Processes
from engine.policy import Policy
from engine.remedy import Pairs, largest_pack
from engine.rundir.paths import RunDir
from engine.shape import ModelShape


def setup_of(
    config: Config, policy: Policy, way: Strategy, trained: int, world: int, *, compiled: bool
) -> Setup | None:
    """How this policy is trained; None for a model whose config does not tell its sizes."""
    shape = policy.shape
    if shape is None:
        return None
    return Setup(
        shape=shape,
        trained=trained,
        itemsize=policy.base.dtype.itemsize,
        adapters=config.model.lora is not None,
        quantized=packed_weights(policy.base),
        unpacked=config.model.unpacked,
        device=_kind(policy.base.device),
        world=world,
        sequence_parallel=config.launch.sequence_parallel,
        strategy=way,
        offload=config.launch.offload != "none",
        compiled=compiled,
        native=policy.native and policy.mode != "single",
        checkpointing=config.train.gradient_checkpointing,
        fused=isinstance(policy.base.get_output_embeddings(), LogprobHead),
    )


def pairs_of(pairs: PairSet, evaluation: PairSet | None, config: Config) -> Pairs:
    """What of the pairs decides about memory: the longest of all, and the largest of the first steps."""
    schedule = schedule_of(config, pairs)
    steps = range(1, min(schedule.total_steps, STEPS_LOOKED_AT) + 1)
    largest_step = max(int(pairs.tokens[schedule.pairs_of(step)[1]].sum()) for step in steps)
    return Pairs(
        longest=max(int(some.tokens.max()) for some in (pairs, evaluation) if some is not None),
        allowed=2 * config.data.max_length,
        scored=float(pairs.rows.sum() / pairs.tokens.sum()),
        step=-(-largest_step // config.launch.shares),
    )


def strategy_for(
    config: Config, run: RunDir, shape: ModelShape | None, pairs: Pairs, processes: Processes
) -> Strategy:
    """What the devices divide: as the config says, or as the memory allows; for a resumed run as at its start.

    It is chosen by what a forecast knows, before anything lies on a device. Rank 0 chooses for all.

    Raises CannotWriteError.
    """

    def choose() -> str:
        setup = setup_by(config, shape, _kind(processes.device)) if shape else None
        chosen = choose_strategy(config, setup, pairs, room(processes.device, processes.world))
        print(f"{chosen.strategy} on {processes.world} processes: {chosen.reason}", flush=True)
        return chosen.strategy

    if config.launch.strategy != "auto":
        return config.launch.strategy
    key = f"strategy of {processes.world}"
    name = processes.share(kept_choice(run, key, str, choose) if processes.leads else "")
    return next((known for known in get_args(Strategy) if known == name), "ddp")


def with_pack_size(
    config: Config, run: RunDir, setup: Setup | None, pairs: Pairs, processes: Processes
) -> Config:
    """`config` with a number where it says auto: as many tokens as fit, and for a resumed run those of its start.

    Rank 0 chooses for all.

    Raises CannotWriteError.
    """
    if config.train.tokens_per_pack != "auto":
        return config
    most = MOST_TOKENS[_kind(processes.device)]

    def choose() -> int:
        return (
            max(most, pairs.longest)
            if setup is None
            else largest_pack(setup, pairs, room(processes.device, processes.world), most)
        )

    size = processes.share(kept_choice(run, "tokens_per_pack", int, choose) if processes.leads else 0)
    return config.model_copy(update={"train": config.train.model_copy(update={"tokens_per_pack": size})})


def room(device: torch.device, processes: int = 1) -> int:
    """Bytes this process may take on its `device`: its share of what is free, and what it holds already.

    On a CPU the `processes` of this machine share its memory.
    """
    if _kind(device) == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device)
    own = psutil.Process(os.getpid()).memory_info().rss
    return min(psutil.virtual_memory().available // processes + own, own_limit() // processes)


def _kind(device: torch.device) -> Device:
    return "cpu" if device.type == "cpu" else "cuda"
