"""Ways to train the same pairs in the same order by the same maths: this product, a plain loop, TRL, LLaMA-Factory.

One of them runs in a process of its own: `python -m benchmarks.contestants NAME RUN STEPS` trains `STEPS` steps of the
run directory `RUN` (its config and prepared pairs) and prints a line of JSON: seconds of each step, seconds before the
first, loss of each step, peak of resident memory, and the rate of bf16 matrix products measured around the steps.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import plain_loop
from benchmarks.contest import Measured, dpo_loss, steps_of, timed
from benchmarks.machine import peak_gib
from engine import rounding
from engine.compiled import compile_policy
from engine.config.load import load_config
from engine.config.schema import Config
from engine.data.prepared.pairs import Pair
from engine.kernels import update
from engine.kernels.logprob import RowStats, eager_logprob
from engine.models.load import load_model
from engine.models.quiet import quiet_libraries
from engine.models.weights import trained_tensors
from engine.optimizer import MasterWeights, cast_model, lower_halves
from engine.policy import Policy
from engine.rounding import DTYPES
from engine.rundir.paths import RunDir


@dataclass(frozen=True, slots=True)
class Parts:
    """What makes the product fast."""

    packs: bool = True
    shares: bool = True
    native: bool = True
    head: bool = True
    compiled: bool = True
    budget: int | None = None
    """Bytes of logits kept, where it is not the product's own."""
    checkpointed: bool = False
    rounding: int = 0
    """Seed of the thresholds by which weights are rounded: the product's is 0."""


def ours(parts: Parts, run: RunDir, config: Config, steps: int) -> Measured:
    """The product's policy and update: its own kernels, its own packs."""
    start = time.perf_counter()
    if parts.rounding:
        _round_otherwise(parts.rounding)
    model = load_model(config.model).model
    if parts.checkpointed:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    trained = trained_tensors(model)
    dtype, here = DTYPES[config.model.dtype], torch.device("cpu")
    lower = {} if dtype == torch.float32 else lower_halves(trained, here)
    cast_model(model, dtype, here, adapters=False)
    policy = Policy(model, "shared" if parts.shares else "packed")
    policy.native = policy.native and parts.native
    weights = MasterWeights(trained, lower, config.optimizer)
    if not parts.head:
        policy._head = partial(_by_formula, model.get_output_embeddings().weight)  # type: ignore[method-assign]
    batches = steps_of(run, config, steps)
    if parts.compiled:
        reason = compile_policy(policy, batches[0][0])
        assert reason is None, reason
        weights.compiled = True
        weights.rehearse(as_they_come=parts.packs, summed=not parts.packs)
    if parts.budget is not None:
        policy.use_budget(parts.budget)
    reference = {id(batch): _reference(policy, batch, parts.packs) for batch in batches}

    def step(batch: list[Pair]) -> float:
        total = 0.0
        for part, expected in zip(_packs(batch, parts.packs), reference[id(batch)], strict=True):
            loss = dpo_loss(policy(policy.lay_out(part)), expected) * (len(part) / len(batch))
            loss.backward()
            weights.take_gradients()
            total += float(loss)
        weights.clip()
        weights.step(config.optimizer.learning_rate)
        return total

    policy.train()
    measured = Measured(before=time.perf_counter() - start, weights=weights.size, state=14 if lower else 16)
    return timed(measured, config, batches, step)


def _by_formula(weight: Tensor, hidden: Tensor, targets: Tensor) -> tuple[Tensor, RowStats]:
    untold = torch.zeros(len(targets))
    return eager_logprob(hidden, weight, targets), RowStats(untold, untold)


def _round_otherwise(seed: int) -> None:
    """Other thresholds, as good as the product's."""
    order = torch.randperm(rounding.PERIOD, generator=torch.Generator().manual_seed(seed)).to(torch.int32)
    for module in (rounding, update):
        module.thresholds = lambda _: order  # type: ignore[attr-defined]


def _packs(batch: list[Pair], whole: bool) -> list[list[Pair]]:
    return [batch] if whole else [[pair] for pair in batch]


@torch.no_grad()
def _reference(policy: Policy, batch: list[Pair], whole: bool) -> list[Tensor]:
    return [policy(policy.lay_out(part)) for part in _packs(batch, whole)]


BARE = Parts(packs=False, shares=False, native=False, head=False, compiled=False)
CONTESTANTS: dict[str, Callable[[RunDir, Config, int], Measured]] = {
    "trl": lambda *a: _trl(False, *a),
    "trl-best": lambda *a: _trl(True, *a),
    "llama-factory": lambda *a: _llama_factory(*a),
    "plain": plain_loop.train,
    "dpo-tui": lambda *a: ours(Parts(), *a),
    "no-compile": lambda *a: ours(Parts(compiled=False), *a),
    "no-kernel": lambda *a: ours(Parts(native=False), *a),
    "no-sharing": lambda *a: ours(Parts(shares=False), *a),
    "no-packs": lambda *a: ours(Parts(packs=False), *a),
    "no-head": lambda *a: ours(Parts(head=False), *a),
    "checkpointed": lambda *a: ours(Parts(checkpointed=True), *a),
    "small-budget": lambda *a: ours(Parts(budget=64 << 20), *a),
    "bare": lambda *a: ours(BARE, *a),
    "other-rounding": lambda *a: ours(Parts(rounding=1), *a),
}


def _trl(best: bool, run: RunDir, config: Config, steps: int) -> Measured:
    from benchmarks import trl_peer  # which needs a package that the others do not

    return trl_peer.train(best, run, config, steps)


def _llama_factory(run: RunDir, config: Config, steps: int) -> Measured:
    from benchmarks import llamafactory_peer  # of which the work is done elsewhere

    return llamafactory_peer.train(run, config, steps)


def main() -> int:
    """One contestant in this process."""
    name, folder, steps = sys.argv[1:]
    quiet_libraries()
    run = RunDir(Path(folder))
    idle = peak_gib()
    config = load_config(run.config).config
    measured = CONTESTANTS[name](run, config, int(steps))
    measured.idle_gib = idle
    print(json.dumps({key: getattr(measured, key) for key in Measured.__slots__}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
