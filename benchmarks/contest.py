"""What all contestants of a comparison share: the pairs of each step, the loss, the clock, the machine's rate."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from benchmarks.machine import gemm_rate, peak_gib
from engine.config.schema import Config
from engine.data.prepared.pairs import Pair, PairStore
from engine.mix import Mix
from engine.plan import Schedule
from engine.rundir.paths import RunDir

BETA = 0.1


@dataclass(slots=True)
class Measured:
    """What a contestant reports."""

    steps: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    before: float = 0.0
    peak_gib: float = 0.0
    idle_gib: float = 0.0
    """Before a model is there."""
    weights: int = 0
    state: int = 16
    """Bytes of a weight with its gradient and its moments, as the contestant holds them."""
    gemm: float = 0.0


def steps_of(run: RunDir, config: Config, steps: int) -> list[list[Pair]]:
    """The pairs of each step, as every contestant trains them."""
    store = PairStore.open(run.data_dir / "train.arrow")
    schedule = Schedule(
        mix=Mix.even(len(store)),
        pairs_per_step=config.train.pairs_per_step,
        seed=config.run.seed,
        max_steps=steps,
    )
    return [[store[int(i)] for i in schedule.pairs_of(step)[1]] for step in range(1, steps + 1)]


def dpo_loss(logps: Tensor, reference: Tensor) -> Tensor:
    """Mean loss of sequence log-probabilities [2B], chosen at 2i and rejected at 2i + 1."""
    ratio = logps - reference
    return -F.logsigmoid(BETA * (ratio[0::2] - ratio[1::2])).mean()


def timed(
    measured: Measured, config: Config, batches: list[list[Pair]], step: Callable[[list[Pair]], float]
) -> Measured:
    """Run `step` on every batch, with the machine's rate taken before and after."""
    rates = [gemm_rate(config.model.dtype)]
    for batch in batches:
        start = time.perf_counter()
        loss = step(batch)
        measured.steps.append(time.perf_counter() - start)
        measured.losses.append(loss)
    measured.peak_gib = peak_gib()
    measured.gemm = max(*rates, gemm_rate(config.model.dtype))
    return measured
