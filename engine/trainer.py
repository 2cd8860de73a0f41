"""The parts of a step: forward and backward over its packs, the update, evaluation, the reference."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

import numpy as np
import torch
from torch import Tensor

from engine.config.schema import Config
from engine.exits import CannotWriteError, EngineError, NonFiniteError, StopRequested
from engine.memory import Work
from engine.meter import COLUMNS, Meter, metric_sums, progress_of
from engine.mix import source_names
from engine.objectives import PairLogps, pair_losses, pair_metrics
from engine.optimizer import learning_rate
from engine.packing import STEPS_LOOKED_AT, Packing, largest, measure
from engine.pair_set import PairSet, schedule_of
from engine.parallel.processes import Processes
from engine.parallel.strategy import Strategy
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
        strategy: Strategy,
        processes: Processes,
        train: PairSet,
        evaluation: PairSet | None,
        events: EventWriter,
        control: Control,
    ) -> None:
        self.config = config
        self.policy = policy
        self.strategy = strategy
        self.processes = processes
        self.train = train
        self.evaluation = evaluation
        self.events = events
        self.control = control
        self.sources = source_names([source.path for source in config.data.sources])
        self.meter = Meter(self.sources)
        self.schedule = schedule_of(config, train)

    @property
    def pack_size(self) -> int:
        """Most tokens of a pack."""
        size = self.config.train.tokens_per_pack
        assert size != "auto"
        return size

    def plan(self, step: int) -> StepPlan:
        """The packs of `step`, from 1."""
        world, pairs = self.processes.world, self.train
        return plan_step(self.schedule, pairs.tokens, step, world, self.pack_size, pairs.costs)

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

    def stop_requested(self) -> bool:
        """Whether somebody asked for a stop, as rank 0 sees it."""
        return self.processes.agree(self.processes.leads and self.control.stop_requested())

    def checkpoint_requested(self) -> bool:
        """Whether somebody asked for a checkpoint; the request is then gone."""
        return self.processes.agree(self.processes.leads and self.control.take_checkpoint_request())

    def raise_if_stopped(self) -> None:
        """Between two packs, in all processes alike: raise StopRequested if somebody asked."""
        if self.stop_requested():
            raise StopRequested("run.stopped", "stopped on request")

    # One step

    def step(self, plan: StepPlan) -> dict[str, float]:
        """Train on the pairs of `plan`; returns gradient norm and learning rate.

        Raises StopRequested between packs and NonFiniteError before the update: the weights are then those of the
        step before.
        """
        self.policy.train()
        torch.manual_seed(step_seed(self.config.run.seed, plan.step, self.processes.rank))
        told = TokenStats(self.processes.device) if self.is_logged(plan.step) else None
        rate = learning_rate(self.config.optimizer, plan.step, self.schedule.total_steps)
        try:
            with self.policy.telling(told):
                sums = self.processes.sum(self._packs(plan))
            self._require_finite(plan.step, "loss", float(sums[:, 0].sum()))
            norm = self.strategy.update(rate)
            self._require_finite(plan.step, "gradient norm", norm)
        except Exception as error:
            self.strategy.drop_gradients()
            if "can't allocate memory" in str(error):  # how torch says it on a CPU
                raise MemoryError(str(error)) from error
            raise
        tokens = sum(int(self.train.tokens[list(pack)].sum()) for rank in plan.packs for pack in rank)
        self.meter.add(sums, tokens)
        return {"grad_norm": norm, "learning_rate": rate, **self._token_means(told)}

    def _packs(self, plan: StepPlan) -> Tensor:
        """Forward and backward over this process's packs; returns its metric sums by source [sources, COLUMNS]."""
        sums = torch.zeros(len(self.sources), COLUMNS, device=self.processes.device)
        for pack in plan.packs[self.processes.rank]:
            self.raise_if_stopped()
            if pack:
                sums += self._pack(pack, 1 / plan.pairs)
            elif self.strategy.lockstep:
                self._pack(any_pack(plan), 0.0)
        return sums

    def is_logged(self, step: int) -> bool:
        """Whether a step event follows this step."""
        return due(step, self.config.train.log_every) or step == self.schedule.total_steps

    def _token_means(self, told: TokenStats | None) -> dict[str, float]:
        """TRL's two metrics of tokens, of the step alone; none where nobody asked, or the model runs by itself."""
        if told is None:
            return {}
        entropy, rows, hits, chosen = self.processes.sum(told.sums).tolist()
        return {"entropy": entropy / rows, "mean_token_accuracy": hits / chosen} if rows and chosen else {}

    def emit_step(self, plan: StepPlan, stats: dict[str, float]) -> None:
        """The step event: means since the one before, and what `step` returned."""
        self.events.emit("step", step=plan.step, epoch=round(plan.epoch, 6), **self.meter.report(), **stats)

    def _pack(self, pack: Pack, weight: float) -> Tensor:
        """Forward and backward over one pack, each pair of that weight; returns its metric sums by source."""
        logps = self._pair_logps(self.train, pack)
        losses = pair_losses(logps, self.config.objective)
        self.strategy.backward(losses.sum() * weight)
        return self._metric_sums(self.train, pack, losses, logps)

    def _metric_sums(self, pairs: PairSet, pack: Pack, losses: Tensor, logps: PairLogps) -> Tensor:
        metrics = pair_metrics(losses, logps, self.config.objective)
        sources = torch.from_numpy(pairs.sources[list(pack)]).to(metrics.device)
        return metric_sums(metrics, sources, len(self.sources))

    def _pair_logps(self, pairs: PairSet, pack: Pack) -> PairLogps:
        layout = self.policy.lay_out([pairs.store[i] for i in pack])
        logps = self.strategy.forward(layout)
        reference = torch.from_numpy(pairs.reference[list(pack)]).to(logps.device)
        return PairLogps(
            policy_chosen=logps[0::2],
            policy_rejected=logps[1::2],
            reference_chosen=reference[:, 0],
            reference_rejected=reference[:, 1],
            chosen_length=layout.lengths[0::2],
            rejected_length=layout.lengths[1::2],
        )

    def _require_finite(self, step: int, name: str, value: float) -> None:
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
        pairs, done = self.evaluation, 0
        sums = torch.zeros(len(self.sources), COLUMNS, dtype=torch.float64, device=self.processes.device)
        progress = progress_of(self.events, "eval")
        for packs in self._rounds(self._packs_in_order(pairs)):
            self.raise_if_stopped()
            pack = self._mine(packs)
            if pack is not None:
                logps = self._pair_logps(pairs, pack)
                losses = pair_losses(logps, self.config.objective)
                if pack is not packs[0] or self.processes.leads:
                    sums += self._metric_sums(pairs, pack, losses, logps)
            done += sum(map(len, packs))
            progress(done, len(pairs.store))
        meter = Meter(self.sources)
        meter.add(self.processes.sum(sums))
        return meter

    def fill_references(self, cache: ReferenceCache) -> None:
        """Reference log-probabilities of all pairs that the run will visit, from the cache or computed now.

        Pairs are computed in the packs in which they are trained first, so that both passes round alike. Rank 0
        alone reads and writes the cache; what it lacks all processes compute together.
        """
        work = [(self.train, list(self._first_packs()))]
        if self.evaluation is not None:
            work.append((self.evaluation, list(self._packs_in_order(self.evaluation))))
        pairs_in_all = sum(len(pack) for _, packs in work for pack in packs)
        progress, done = progress_of(self.events, "reference"), 0
        try:
            for pairs, packs in work:
                lacking = self._look_up(pairs, packs, cache)
                done += sum(map(len, packs)) - sum(map(len, lacking))
                for some in self._rounds(lacking):
                    self._compute_references(pairs, some, cache)
                    done += sum(map(len, some))
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

    def _look_up(self, pairs: PairSet, packs: Sequence[Pack], cache: ReferenceCache) -> list[Pack]:
        """Fill in what rank 0 finds in the cache; returns the packs of which something is missing."""
        members = list(dict.fromkeys(chain.from_iterable(packs)))
        found = cache.lookup([pair_key(pairs.store[i]) for i in members]) if self.processes.leads else None
        pairs.reference[members] = self.processes.share(found)
        return [pack for pack in packs if np.isnan(pairs.reference[list(pack)]).any()]

    @torch.no_grad()
    def _compute_references(self, pairs: PairSet, packs: Sequence[Pack], cache: ReferenceCache) -> None:
        """Compute a pack in each process, and tell all of them the results."""
        self.raise_if_stopped()
        self.policy.eval()
        pack = self._mine(packs)
        logps = torch.zeros(0, 2, device=self.processes.device)
        if pack is not None:
            with self.policy.as_reference():
                sides = self.strategy.forward(self.policy.lay_out([pairs.store[i] for i in pack]))
            logps = torch.stack([sides[0::2], sides[1::2]], dim=1)
        sizes = [len(packs[rank]) if rank < len(packs) else 0 for rank in range(self.processes.world)]
        for done, known in zip(
            packs, self.processes.gather(logps[: sizes[self.processes.rank]], sizes), strict=False
        ):
            pairs.reference[list(done)] = known.cpu().numpy()
            if self.processes.leads:
                for i, (chosen, rejected) in zip(done, known.tolist(), strict=True):
                    cache.add(pair_key(pairs.store[i]), chosen, rejected)

    def _keep(self, cache: ReferenceCache) -> None:
        """Write what is new in the cache. It saves time and no more: a disk that refuses it stops no training."""
        try:
            cache.flush()
        except CannotWriteError as error:
            self.events.warning(error.code, error.text, **error.params)

    def _rounds(self, packs: Iterable[Pack]) -> Iterator[list[Pack]]:
        """As many packs as there are processes, again and again; the last time there may be fewer."""
        remaining = iter(packs)
        while some := list(islice(remaining, self.processes.world)):
            yield some

    def _mine(self, packs: Sequence[Pack]) -> Pack | None:
        """This process's pack of a round. One that has none takes part with the first, where that is a must."""
        if self.processes.rank < len(packs):
            return packs[self.processes.rank]
        return packs[0] if self.strategy.lockstep else None

    @torch.no_grad()
    def start_gap(self) -> float:
        """Largest difference, in nats, of policy and reference over the sequences of the first step."""
        self.policy.train()
        plan, gaps = self.plan(1), [0.0]
        for pack in plan.packs[self.processes.rank]:
            if pack or self.strategy.lockstep:
                logps = self._pair_logps(self.train, pack or any_pack(plan))
                gaps += [float(logps.chosen_ratio.abs().max()), float(logps.rejected_ratio.abs().max())]
        return float(self.processes.largest(torch.tensor([max(gaps)], device=self.processes.device)))

    def require_zero_margin(self, cache: ReferenceCache) -> None:
        """Before the first update the policy is its reference: fill again once if not, then give up."""
        if self.start_gap() <= START_TOLERANCE:
            return
        first = [pack for rank in self.plan(1).packs for pack in rank if pack]
        cache.forget(pair_key(self.train.store[i]) for pack in first for i in pack)
        for packs in self._rounds(first):
            self._compute_references(self.train, packs, cache)
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


def any_pack(plan: StepPlan) -> Pack:
    """A pack that has pairs."""
    return next(pack for rank in plan.packs for pack in rank if pack)


def due(step: int, every: int | None) -> bool:
    """Whether what is done every so many steps is done after this one."""
    return every is not None and step % every == 0


def step_seed(seed: int, step: int, rank: int) -> int:
    """Seed of all randomness in a step, so that a resumed run draws what an uninterrupted one draws."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])
