"""The parts of a step: forward and backward over its packs, the update, evaluation, the reference."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from engine.config.schema import Config
from engine.distributed import total
from engine.exits import CannotWriteError, EngineError, NonFiniteError, StopRequested
from engine.memory import Work
from engine.meter import COLUMNS, Meter, metric_sums, progress_of
from engine.mix import source_names
from engine.objectives import PairLogps, pair_losses, pair_metrics
from engine.optimizer import MasterWeights, learning_rate
from engine.packing import STEPS_LOOKED_AT, Packing, largest, measure
from engine.pair_set import PairSet, schedule_of
from engine.plan import Pack, StepPlan, packs_in_order, plan_step
from engine.policy import Policy, TokenStats
from engine.reference import ReferenceCache, pair_key
from engine.rundir.control import Control
from engine.rundir.events import EventWriter

# Nats a sequence may stray from its reference before the first update: none is expected, this is no rounding.
START_TOLERANCE = 1e-3
DIVERGED = (
    ". The checkpoint holds the weights of the step before. Lower optimizer.learning_rate, and look at the data "
    "with `dpo-tui data`"
)
BROKEN_START = (
    " before any update: it comes from the model or the data, not from training, and there is no checkpoint. Check "
    'that the base model answers sensibly, look at the data with `dpo-tui data`, and try model.dtype = "float32"'
)
SEGMENT_PAIRS = 2048  # reference log-probabilities in one write


class Trainer:
    """One process's share of the training. Knows nothing of checkpoints and of when to do what."""

    def __init__(
        self,
        config: Config,
        policy: Policy,
        weights: MasterWeights,
        accelerator: Accelerator,
        train: PairSet,
        evaluation: PairSet | None,
        events: EventWriter,
        control: Control,
    ) -> None:
        self.config = config
        self.policy = policy
        self.weights = weights
        self.accelerator = accelerator
        self.train = train
        self.evaluation = evaluation
        self.events = events
        self.control = control
        self.sources = source_names([source.path for source in config.data.sources])
        self.meter = Meter(self.sources)
        self._wrapped = accelerator.prepare(policy)
        self.schedule = schedule_of(config, train)

    @property
    def pack_size(self) -> int:
        """Most tokens of a pack."""
        size = self.config.train.tokens_per_pack
        assert size != "auto"
        return size

    def plan(self, step: int) -> StepPlan:
        """The packs of `step`, from 1."""
        world = self.accelerator.num_processes
        return plan_step(self.schedule, self.train.tokens, step, world, self.pack_size, self.train.costs)

    def packing(self) -> Packing:
        """How the first steps are packed."""
        pairs = self.train
        return measure(self._first_plans(), pairs.tokens, pairs.unshared, pairs.costs)

    def largest_work(self) -> Work:
        """The largest pack of the first steps."""
        return largest(self._first_plans(), self.train.tokens, self.train.rows)

    def _first_plans(self) -> Iterator[StepPlan]:
        steps = range(1, min(self.schedule.total_steps, STEPS_LOOKED_AT) + 1)
        return (self.plan(step) for step in steps)

    def raise_if_stopped(self) -> None:
        """Between two packs: raise StopRequested if somebody asked."""
        if self.control.stop_requested():
            raise StopRequested("run.stopped", "stopped on request")

    # One step

    def step(self, plan: StepPlan) -> dict[str, float]:
        """Train on the pairs of `plan`; returns gradient norm and learning rate.

        Raises StopRequested between packs and NonFiniteError before the update: the weights are then those of the
        step before.
        """
        self.policy.train()
        torch.manual_seed(step_seed(self.config.run.seed, plan.step, self.accelerator.process_index))
        try:
            packs = plan.packs[self.accelerator.process_index]
            nothing = torch.zeros(len(self.sources), COLUMNS, device=self.accelerator.device)
            told = TokenStats(self.accelerator.device) if self.is_logged(plan.step) else None
            with self.policy.telling(told):
                sums = sum((self._pack(pack, plan.pairs) for pack in packs), nothing)
            norm = self.weights.clip()
            self._require_finite(plan.step, float(sums[:, 0].sum()), norm)
        except Exception as error:
            self.weights.drop_gradients()
            if "can't allocate memory" in str(error):  # how torch says it on a CPU
                raise MemoryError(str(error)) from error
            raise
        rate = learning_rate(self.config.optimizer, plan.step, self.schedule.total_steps)
        self.weights.step(rate)
        tokens = sum(int(self.train.tokens[list(pack)].sum()) for pack in packs)
        self.meter.add(total(self.accelerator, sums), tokens)
        return {"grad_norm": norm, "learning_rate": rate, **self._token_means(told)}

    def is_logged(self, step: int) -> bool:
        """Whether a step event follows this step."""
        return due(step, self.config.train.log_every) or step == self.schedule.total_steps

    def _token_means(self, told: TokenStats | None) -> dict[str, float]:
        """TRL's two metrics of tokens, of the step alone; none where nobody asked, or the model runs by itself."""
        if told is None:
            return {}
        entropy, rows, hits, chosen = total(self.accelerator, told.sums).tolist()
        return {"entropy": entropy / rows, "mean_token_accuracy": hits / chosen} if rows and chosen else {}

    def emit_step(self, plan: StepPlan, stats: dict[str, float]) -> None:
        """The step event: means since the one before, and what `step` returned."""
        self.events.emit("step", step=plan.step, epoch=round(plan.epoch, 6), **self.meter.report(), **stats)

    def _pack(self, pack: Pack, step_pairs: int) -> Tensor:
        """Forward and backward over one pack; returns its metric sums by source [sources, COLUMNS]."""
        self.raise_if_stopped()
        logps = self._pair_logps(self.train, pack)
        losses = pair_losses(logps, self.config.objective)
        # Gradients are averaged over processes, so the mean over the step's pairs needs the factor back.
        loss = losses.sum() * (self.accelerator.num_processes / step_pairs)
        self.accelerator.backward(loss)
        self.weights.take_gradients()
        return self._metric_sums(self.train, pack, losses, logps)

    def _metric_sums(self, pairs: PairSet, pack: Pack, losses: Tensor, logps: PairLogps) -> Tensor:
        metrics = pair_metrics(losses, logps, self.config.objective)
        sources = torch.from_numpy(pairs.sources[list(pack)]).to(metrics.device)
        return metric_sums(metrics, sources, len(self.sources))

    def _pair_logps(self, pairs: PairSet, pack: Pack) -> PairLogps:
        layout = self.policy.lay_out([pairs.store[i] for i in pack])
        logps = self._wrapped(layout)  # not `self.policy`: gradients are averaged in the wrapper
        reference = torch.from_numpy(pairs.reference[list(pack)]).to(logps.device)
        return PairLogps(
            policy_chosen=logps[0::2],
            policy_rejected=logps[1::2],
            reference_chosen=reference[:, 0],
            reference_rejected=reference[:, 1],
            chosen_length=layout.lengths[0::2],
            rejected_length=layout.lengths[1::2],
        )

    def _require_finite(self, step: int, loss: float, norm: float) -> None:
        for name, value in (("loss", loss), ("gradient norm", norm)):
            if not np.isfinite(value):
                raise NonFiniteError(
                    "train.non_finite" if step > 1 else "train.non_finite_start",
                    f"the {name} of step {step} is {value}{DIVERGED if step > 1 else BROKEN_START}",
                    step=step,
                    what=name,
                    value=str(value),
                )

    # Passes without an update

    @torch.no_grad()
    def evaluate(self) -> Meter:
        """The metrics of all eval pairs."""
        assert self.evaluation is not None
        self.policy.eval()
        meter, pairs = Meter(self.sources), self.evaluation
        progress, done = progress_of(self.events, "eval"), 0
        for pack in self._packs_in_order(pairs):
            self.raise_if_stopped()
            logps = self._pair_logps(pairs, pack)
            losses = pair_losses(logps, self.config.objective)
            meter.add(self._metric_sums(pairs, pack, losses, logps))
            done += len(pack)
            progress(done, len(pairs.store))
        return meter

    def fill_references(self, cache: ReferenceCache) -> None:
        """Reference log-probabilities of all pairs that the run will visit, from the cache or computed now.

        Pairs are computed in the packs in which they are trained first, so that both passes round alike.
        """
        work = [(self.train, list(self._first_packs()))]
        if self.evaluation is not None:
            work.append((self.evaluation, list(self._packs_in_order(self.evaluation))))
        pairs_in_all = sum(len(pack) for _, packs in work for pack in packs)
        progress, done = progress_of(self.events, "reference"), 0
        try:
            for pairs, packs in work:
                for pack in packs:
                    self._fill(pairs, pack, cache)
                    done += len(pack)
                    progress(done, pairs_in_all)
                    if cache.unwritten >= SEGMENT_PAIRS:
                        self._keep(cache)
        finally:
            self._keep(cache)

    def _first_packs(self) -> Iterator[Pack]:
        """The packs of all steps in their order that hold a pair not met before, until none is left."""
        met = np.zeros(len(self.train.store), dtype=np.bool_)
        for step in range(1, self.schedule.total_steps + 1):
            for pack in chain.from_iterable(self.plan(step).packs):
                if not met[list(pack)].all():
                    yield pack
                    met[list(pack)] = True
            if met.all():
                return

    def _keep(self, cache: ReferenceCache) -> None:
        """Write what is new in the cache. It saves time and no more: a disk that refuses it stops no training."""
        try:
            cache.flush()
        except CannotWriteError as error:
            self.events.warning(error.code, error.text, **error.params)

    @torch.no_grad()
    def _fill(self, pairs: PairSet, pack: Pack, cache: ReferenceCache) -> None:
        keys = [pair_key(pairs.store[i]) for i in pack]
        known = cache.lookup(keys)
        if np.isnan(known).any():
            self.raise_if_stopped()
            self.policy.eval()
            with self.policy.as_reference():
                logps = self.policy(self.policy.lay_out([pairs.store[i] for i in pack])).cpu()
            known = torch.stack([logps[0::2], logps[1::2]], dim=1).numpy()
            for key, (chosen, rejected) in zip(keys, known.tolist(), strict=True):
                cache.add(key, chosen, rejected)
        pairs.reference[list(pack)] = known

    @torch.no_grad()
    def start_gap(self) -> float:
        """Largest difference, in nats, of policy and reference over the sequences of the first step."""
        self.policy.train()
        packs = self.plan(1).packs[self.accelerator.process_index]
        gaps = [0.0]
        for pack in packs:
            logps = self._pair_logps(self.train, pack)
            gaps += [float(logps.chosen_ratio.abs().max()), float(logps.rejected_ratio.abs().max())]
        return max(gaps)

    def require_zero_margin(self, cache: ReferenceCache) -> None:
        """Before the first update the policy is its reference: fill again once if not, then give up."""
        if self.start_gap() <= START_TOLERANCE:
            return
        first = [pack for rank in self.plan(1).packs for pack in rank]
        cache.forget(pair_key(self.train.store[i]) for pack in first for i in pack)
        for pack in first:
            self._fill(self.train, pack, cache)
        self._keep(cache)
        gap = self.start_gap()
        if gap > START_TOLERANCE:
            raise EngineError(
                "train.reference_differs",
                f"before the first step policy and reference differ by {gap:.3g} nats though they are one model: "
                "this machine does not compute the same pass twice the same. Try train.share_prompt = false and "
                "dtype = 'float32'",
                gap=gap,
            )

    def _packs_in_order(self, pairs: PairSet) -> Iterable[Pack]:
        members: Sequence[int] = range(len(pairs.store))
        return packs_in_order(members, pairs.tokens, self.pack_size)


def due(step: int, every: int | None) -> bool:
    """Whether what is done every so many steps is done after this one."""
    return every is not None and step % every == 0


def step_seed(seed: int, step: int, rank: int) -> int:
    """Seed of all randomness in a step, so that a resumed run draws what an uninterrupted one draws."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])
