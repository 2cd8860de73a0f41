"""Reference log-probabilities of all pairs a run will visit, and the proof that training starts from them."""

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import torch

from engine.exits import CannotWriteError, EngineError
from engine.meter import progress_of
from engine.objectives import START_TOLERANCE
from engine.pair_set import PairSet
from engine.plan import Pack
from engine.reference import ReferenceCache, pair_key
from engine.trainer import Trainer, any_pack

SEGMENT_PAIRS = 2048  # reference log-probabilities in one write


def fill_references(trainer: Trainer, cache: ReferenceCache) -> None:
    """Reference log-probabilities of all pairs that the run will visit, from the cache or computed now.

    Pairs are computed in the packs in which they are trained first, so that both passes round alike. Rank 0
    alone reads and writes the cache; what it lacks all processes compute together.
    """
    work = [(trainer.train, list(_first_packs(trainer)))]
    if trainer.evaluation is not None:
        work.append((trainer.evaluation, list(trainer.packs_in_order_of(trainer.evaluation))))
    pairs_in_all = sum(len(pack) for _, packs in work for pack in packs)
    progress, done = progress_of(trainer.events, "reference"), 0
    try:
        for pairs, packs in work:
            lacking = _look_up(trainer, pairs, packs, cache)
            done += sum(map(len, packs)) - sum(map(len, lacking))
            for some in trainer.rounds(lacking):
                _compute_references(trainer, pairs, some, cache)
                done += sum(map(len, some))
                progress(done, pairs_in_all)
                if cache.unwritten >= SEGMENT_PAIRS:
                    _keep(trainer, cache)
    finally:
        _keep(trainer, cache)


def _first_packs(trainer: Trainer) -> Iterator[Pack]:
    """The packs of all steps in their order that hold a pair not met before, until none is left."""
    met = np.zeros(len(trainer.train.store), dtype=np.bool_)
    for step in range(1, trainer.schedule.total_steps + 1):
        for pack in chain.from_iterable(trainer.plan(step).packs):
            if not met[list(pack)].all():
                yield pack
                met[list(pack)] = True
        if met.all():
            return


def _look_up(trainer: Trainer, pairs: PairSet, packs: Sequence[Pack], cache: ReferenceCache) -> list[Pack]:
    """Fill in what rank 0 finds in the cache; returns the packs of which something is missing."""
    members = list(dict.fromkeys(chain.from_iterable(packs)))
    found = cache.lookup([pair_key(pairs.store[i]) for i in members]) if trainer.processes.leads else None
    pairs.reference[members] = trainer.processes.share(found)
    return [pack for pack in packs if np.isnan(pairs.reference[list(pack)]).any()]


@torch.no_grad()
def _compute_references(
    trainer: Trainer, pairs: PairSet, packs: Sequence[Pack], cache: ReferenceCache
) -> None:
    """Compute a pack in each process, and tell all of them the results."""
    trainer.raise_if_stopped()
    trainer.policy.eval()
    pack = trainer.mine(packs)
    logps = torch.zeros(0, 2, device=trainer.processes.device)
    if pack is not None:
        with trainer.policy.as_reference():
            sides = trainer.strategy.forward(trainer.policy.lay_out([pairs.store[i] for i in pack]))
        logps = torch.stack([sides[0::2], sides[1::2]], dim=1)
    told = trainer.team.gather(logps, [len(pack) for pack in packs])
    for done, known in zip(packs, told, strict=False):
        pairs.reference[list(done)] = known.cpu().numpy()
        if trainer.processes.leads:
            for i, (chosen, rejected) in zip(done, known.tolist(), strict=True):
                cache.add(pair_key(pairs.store[i]), chosen, rejected)


def _keep(trainer: Trainer, cache: ReferenceCache) -> None:
    """Write what is new in the cache. It saves time and no more: a disk that refuses it stops no training."""
    try:
        cache.flush()
    except CannotWriteError as error:
        trainer.events.warning(error.code, error.text, **error.params)


@torch.no_grad()
def start_gap(trainer: Trainer) -> float:
    """Largest difference, in nats, of policy and reference over the sequences of the first step."""
    trainer.policy.train()
    plan, gaps = trainer.plan(1), [0.0]
    for pack in plan.packs[trainer.team.share]:
        if pack or trainer.strategy.lockstep:
            logps = trainer.pair_logps(trainer.train, pack or any_pack(plan))
            gaps += [float(logps.chosen_ratio.abs().max()), float(logps.rejected_ratio.abs().max())]
    return float(trainer.processes.largest(torch.tensor([max(gaps)], device=trainer.processes.device)))


def require_zero_margin(trainer: Trainer, cache: ReferenceCache) -> None:
    """Before the first update the policy is its reference: fill again once if not, then give up."""
    if start_gap(trainer) <= START_TOLERANCE:
        return
    first = [pack for rank in trainer.plan(1).packs for pack in rank if pack]
    cache.forget(pair_key(trainer.train.store[i]) for pack in first for i in pack)
    for packs in trainer.rounds(first):
        _compute_references(trainer, trainer.train, packs, cache)
    _keep(trainer, cache)
    gap = start_gap(trainer)
    if gap > START_TOLERANCE:
        raise EngineError(
            "train.reference_differs",
            f"before the first step policy and reference differ by {gap:.3g} nats though they are one model: "
            "this machine does not compute the same pass twice the same. Try train.share_prompt = false and "
            "dtype = 'float32'",
            gap=gap,
        )
