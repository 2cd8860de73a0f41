"""The parts of a step: forward and backward over its packs, the update, evaluation, the reference."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from engine.config.schema import Config
from engine.coupled import Pull, pull_of
from engine.exits import NonFiniteError, StopRequested
from engine.memory import Work
from engine.meter import COLUMNS, Meter, metric_sums, progress_of
from engine.mix import source_names
from engine.objectives import LOSSES, PAIR_COLUMNS, PairLogps, pair_losses, pair_metrics
from engine.optimizer import learning_rate
from engine.packing import STEPS_LOOKED_AT, Packing, largest, measure
from engine.pair_set import PairSet, schedule_of
from engine.parallel.processes import Processes
from engine.parallel.strategy import Strategy
from engine.parallel.team import Team
from engine.plan import Pack, StepPlan, packs_in_order, plan_step
from engine.policy import Policy, TokenStats
from engine.rundir.control import Control
from engine.rundir.events import EventWriter

DIVERGED = (
    ". The checkpoint holds the weights of the step before. Lower optimizer.learning_rate, and look at the data "
    "with `dpo-tui data`"
)
BROKEN_START = (
    " before any update: it comes from the model or the data, not from training, and there is no checkpoint. Check "
    'that the base model answers sensibly, look at the data with `dpo-tui data`, and try model.dtype = "float32"'
)


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
        self.team = policy.team or Team(processes)
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
        pairs = self.train
        return plan_step(self.schedule, pairs.tokens, step, self.team.shares, self.pack_size, pairs.costs)

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
        told = TokenStats(self.processes.device) if self.is_logged(plan.step) else None
        rate = learning_rate(self.config.optimizer, plan.step, self.schedule.total_steps)
        try:
            pulls = self._pulls(plan)
            self._seed(plan.step)
            with self.policy.telling(told):
                sums = self.processes.sum(self._packs(plan, pulls))
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

    def _seed(self, step: int) -> None:
        """Draw from here on what every pass over this process's packs of `step` draws."""
        torch.manual_seed(step_seed(self.config.run.seed, step, self.processes.rank))

    @torch.no_grad()
    def _pulls(self, plan: StepPlan) -> Sequence[Pull | None]:
        """The pull on each of this process's packs if the loss couples their pairs to all others, else None of each."""
        packs = plan.packs[self.team.share]
        if not LOSSES[self.config.objective.loss].coupled:
            return [None] * len(packs)
        self._seed(plan.step)
        rows = [self._no_rows()]
        for pack in packs:
            self.raise_if_stopped()
            if pack or self.strategy.lockstep:
                rows.append(self.pair_logps(self.train, pack or any_pack(plan)).table()[: len(pack)])
        counts = [sum(map(len, share)) for share in plan.packs]
        step = torch.cat(self.team.gather(torch.cat(rows), counts))
        own = pull_of(PairLogps.of(step), self.config.objective).split(counts)[self.team.share]
        return own.split([len(pack) for pack in packs])

    def _no_rows(self) -> Tensor:
        """The logps of no pair, in a table."""
        return torch.zeros(0, PAIR_COLUMNS, device=self.processes.device)

    def _packs(self, plan: StepPlan, pulls: Sequence[Pull | None]) -> Tensor:
        """Forward and backward over this process's packs; returns its metric sums by source [sources, COLUMNS]."""
        sums = torch.zeros(len(self.sources), COLUMNS, dtype=torch.float64, device=self.processes.device)
        for pack, pull in zip(plan.packs[self.team.share], pulls, strict=True):
            self.raise_if_stopped()
            if pack:
                told = self._pack(pack, 1 / plan.pairs, pull)
                sums += told * self.team.first
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

    def _pack(self, pack: Pack, weight: float, pull: Pull | None = None) -> Tensor:
        """Forward and backward over one pack, each pair of that weight; returns its metric sums by source."""
        logps = self.pair_logps(self.train, pack)
        losses = pair_losses(logps, self.config.objective) if pull is None else pull.losses
        self.strategy.backward((losses if pull is None else pull.on(logps)).sum() * weight)
        return self._metric_sums(self.train, pack, losses, logps)

    def _metric_sums(self, pairs: PairSet, pack: Sequence[int], losses: Tensor, logps: PairLogps) -> Tensor:
        metrics = pair_metrics(losses, logps, self.config.objective).double()
        sources = torch.from_numpy(pairs.sources[list(pack)]).to(metrics.device)
        return metric_sums(metrics, sources, len(self.sources))

    def pair_logps(self, pairs: PairSet, pack: Pack) -> PairLogps:
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
        pairs, done, told = self.evaluation, 0, list[Tensor]()
        progress = progress_of(self.events, "eval")
        for packs in self.rounds(self.packs_in_order_of(pairs)):
            self.raise_if_stopped()
            pack = self.mine(packs)
            rows = self.pair_logps(pairs, pack).table() if pack else self._no_rows()
            told += self.team.gather(rows, [len(pack) for pack in packs])
            done += sum(map(len, packs))
            progress(done, len(pairs.store))
        logps = PairLogps.of(torch.cat(told))
        losses = pair_losses(logps, self.config.objective)
        meter = Meter(self.sources)
        meter.add(self._metric_sums(pairs, range(done), losses, logps))
        return meter

    def rounds(self, packs: Iterable[Pack]) -> Iterator[list[Pack]]:
        """As many packs as there are teams, again and again; the last time there may be fewer."""
        remaining = iter(packs)
        while some := list(islice(remaining, self.team.shares)):
            yield some

    def mine(self, packs: Sequence[Pack]) -> Pack | None:
        """This process's pack of a round. One that has none takes part with the first, where that is a must."""
        if self.team.share < len(packs):
            return packs[self.team.share]
        return packs[0] if self.strategy.lockstep else None

    def packs_in_order_of(self, pairs: PairSet) -> Iterable[Pack]:
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
