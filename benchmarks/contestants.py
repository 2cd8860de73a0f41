"""Ways to train the same pairs in the same order by the same maths: this product, a plain loop, and TRL's trainer.

One of them runs in a process of its own: `python -m benchmarks.contestants NAME RUN STEPS` trains `STEPS` steps of the
run directory `RUN` (its config and prepared pairs) and prints a line of JSON: seconds of each step, seconds before the
first, loss of each step, peak of resident memory, and the rate of bf16 matrix products measured around the steps.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engine import rounding
from engine.compiled import compile_policy
from engine.config.load import load_config
from engine.config.schema import Config
from engine.data.prepared.pairs import Pair, PairStore
from engine.kernels import update
from engine.kernels.logprob import RowStats, eager_logprob
from engine.memory import LOGITS_BUDGET
from engine.mix import Mix
from engine.models.load import load_model, load_tokenizer
from engine.models.quiet import quiet_libraries
from engine.models.weights import trained_tensors
from engine.optimizer import MasterWeights, split_precision
from engine.plan import Schedule
from engine.policy import Policy
from engine.rounding import DTYPES
from engine.rundir.paths import RunDir

BETA = 0.1
SIDE = 2048
"""Of the square matrices by whose product the machine's rate is measured."""


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
    gemm: float = 0.0


def gemm_rate(times: int = 12) -> float:
    """bf16 operations a second of the best of some products of square matrices."""
    a, b = (torch.randn(SIDE, SIDE).bfloat16() for _ in range(2))
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - start)
    return 2 * SIDE**3 / best


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


def timed(measured: Measured, batches: list[list[Pair]], step: Callable[[list[Pair]], float]) -> Measured:
    """Run `step` on every batch, with the machine's rate taken before and after."""
    rates = [gemm_rate()]
    for batch in batches:
        start = time.perf_counter()
        loss = step(batch)
        measured.steps.append(time.perf_counter() - start)
        measured.losses.append(loss)
    measured.peak_gib = peak_gib()
    measured.gemm = max(*rates, gemm_rate())
    return measured


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


# This product, whole and with one of its parts taken away


@dataclass(frozen=True, slots=True)
class Parts:
    """What makes the product fast."""

    packs: bool = True
    shares: bool = True
    native: bool = True
    head: bool = True
    compiled: bool = True
    budget: int = LOGITS_BUDGET
    """Bytes of logits kept."""
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
    masters = split_precision(model, trained, DTYPES[config.model.dtype], torch.device("cpu"), adapters=False)
    policy = Policy(model, "shared" if parts.shares else "packed")
    policy.native = policy.native and parts.native
    weights = MasterWeights(trained, masters, config.optimizer)
    if not parts.head:
        policy._head = partial(_by_formula, model.get_output_embeddings().weight)  # type: ignore[method-assign]
    batches = steps_of(run, config, steps)
    if parts.compiled:
        reason = compile_policy(policy, batches[0][0])
        assert reason is None, reason
        weights.compiled = True
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
    return timed(Measured(before=time.perf_counter() - start, weights=weights.size), batches, step)


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


# The best loop one writes by hand on top of transformers


def plain(_: Parts, run: RunDir, config: Config, steps: int) -> Measured:
    """Padded sequences, fp32 weights under bf16 autocast, scored rows only, a cached reference, fused AdamW."""
    start = time.perf_counter()
    model = load_model(config.model).model.train()
    adamw = torch.optim.AdamW(
        model.parameters(), lr=config.optimizer.learning_rate, weight_decay=0.0, fused=True
    )
    batches = steps_of(run, config, steps)
    with torch.no_grad():
        reference = {id(batch): plain_logps(model, batch) for batch in batches}

    def step(batch: list[Pair]) -> float:
        loss = dpo_loss(plain_logps(model, batch), reference[id(batch)])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.max_grad_norm)
        adamw.step()
        adamw.zero_grad(set_to_none=True)
        return float(loss)

    size = sum(p.numel() for p in model.parameters())
    return timed(Measured(before=time.perf_counter() - start, weights=size), batches, step)


def plain_logps(model: Any, batch: list[Pair]) -> Tensor:
    """[2B] sequence log-probabilities of padded sequences."""
    sides = [(ids, start) for pair in batch for ids, start in _sides(pair)]
    longest = max(len(ids) for ids, _ in sides)
    ids = torch.zeros(len(sides), longest, dtype=torch.int64)
    mask, scored = torch.zeros_like(ids), torch.zeros(len(sides), longest - 1, dtype=torch.bool)
    for row, (tokens, first) in enumerate(sides):
        ids[row, : len(tokens)] = torch.from_numpy(tokens).long()
        mask[row, : len(tokens)] = 1
        scored[row, first - 1 : len(tokens) - 1] = True
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.get_decoder()(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        logits = model.get_output_embeddings()(hidden[:, :-1][scored])  # [N, V]
    logps = logits.float().log_softmax(-1).gather(1, ids[:, 1:][scored][:, None])[:, 0]
    rows = torch.arange(len(sides))[:, None].expand_as(scored)[scored]
    return torch.zeros(len(sides)).index_add(0, rows, logps)


def _sides(pair: Pair) -> Iterator[tuple[Any, int]]:
    yield pair.chosen, pair.chosen_start
    yield pair.rejected, pair.rejected_start


# TRL


def trl(best: bool, run: RunDir, config: Config, steps: int) -> Measured:
    """TRL's DPOTrainer with its defaults, or with the settings that make it fastest at the same result."""
    from transformers import TrainerCallback
    from trl import DPOConfig

    from benchmarks.trl_peer import SamePairs, dataset_of

    start = time.perf_counter()
    measured = Measured()

    class Clock(TrainerCallback):  # type: ignore[misc]
        began = 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            if not measured.steps and not measured.before:
                measured.before = time.perf_counter() - start
                measured.gemm = gemm_rate()
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            measured.steps.append(time.perf_counter() - self.began)

    fastest = {"gradient_checkpointing": False, "precompute_ref_log_probs": True} if best else {}
    settings = DPOConfig(
        output_dir=str(run.root / "trl"),
        per_device_train_batch_size=config.train.pairs_per_step,
        train_sampling_strategy="sequential",
        max_steps=steps,
        learning_rate=config.optimizer.learning_rate,
        lr_scheduler_type="constant",
        warmup_steps=0,
        max_length=config.data.max_length,
        use_cpu=True,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        **fastest,
    )
    trainer = SamePairs(
        model=load_model(config.model).model,
        ref_model=None if best else load_model(config.model).model,
        args=settings,
        train_dataset=dataset_of(steps_of(run, config, steps)),
        processing_class=load_tokenizer(config.model),
        callbacks=[Clock()],
    )
    trainer.train()
    measured.losses = trainer.losses
    measured.peak_gib = peak_gib()
    measured.gemm = max(measured.gemm, gemm_rate())
    return measured


BARE = Parts(packs=False, shares=False, native=False, head=False, compiled=False)
CONTESTANTS: dict[str, Callable[[RunDir, Config, int], Measured]] = {
    "trl": lambda *a: trl(False, *a),
    "trl-best": lambda *a: trl(True, *a),
    "plain": lambda *a: plain(Parts(), *a),
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
