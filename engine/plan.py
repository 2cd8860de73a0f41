"""Which pairs go into which pack, on which rank, at which step: a pure function of seed, lengths and world size.

Nothing here has state, so resuming at step s is asking for step s. The unit is a *pack*: the pairs of one forward
pass. Pairs of a step are dealt onto `world_size * k` packs, dearest first onto the cheapest (LPT scheduling,
Graham 1969), with the smallest k at which all packs fit `tokens_per_pack`; every rank runs the same k, so that
collective operations stay aligned. A pair costs its tokens and, in units of a token, the keys they attend to: of two
packs of as many tokens the one with the longer sequences takes longer.
"""

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.mix import Mix

Lengths = NDArray[np.int32]  # [pairs, 5]: chosen, rejected, chosen_start, rejected_start, common prefix
Pack = tuple[int, ...]  # indices of pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """One optimiser step: `packs[rank][i]` is the i-th pack of a rank. `epoch` counts pairs seen after the step."""

    step: int
    epoch: float
    pairs: int
    packs: tuple[tuple[Pack, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How many steps there are, and the order of the pairs in each."""

    mix: Mix
    pairs_per_step: int
    seed: int
    epochs: float = 1.0
    max_steps: int | None = None

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.mix.visits / self.pairs_per_step)

    @property
    def total_steps(self) -> int:
        """`max_steps` wins over `epochs`; a fraction of an epoch is rounded up to a whole step."""
        if self.max_steps is not None:
            return self.max_steps
        return max(1, math.ceil(self.epochs * self.steps_per_epoch - 1e-9))

    def pairs_of(self, step: int) -> tuple[float, NDArray[np.int64]]:
        """Epoch reached after `step` (from 1), and the pairs it trains on; an epoch's last step may have fewer."""
        epoch, position = divmod(step - 1, self.steps_per_epoch)
        start = position * self.pairs_per_step
        members = self.mix.order(self.seed, epoch)[start : start + self.pairs_per_step]
        return epoch + (start + len(members)) / self.mix.visits, members


def pack_tokens(lengths: Lengths, share_prefix: bool) -> NDArray[np.int64]:
    """Input tokens of each pair in a pack: the last token of a sequence is a target, never an input."""
    tokens: NDArray[np.int64] = lengths[:, 0].astype(np.int64) + lengths[:, 1] - 2
    return tokens - shared_tokens(lengths) if share_prefix else tokens


def shared_tokens(lengths: Lengths) -> NDArray[np.int64]:
    """Input tokens the two sequences of a pair have in common."""
    shortest = np.minimum(lengths[:, 0], lengths[:, 1]) - 1
    shared: NDArray[np.int64] = np.minimum(lengths[:, 4], shortest).astype(np.int64)
    return shared


def scored_rows(lengths: Lengths) -> NDArray[np.int64]:
    """Tokens of each pair whose log-probability counts: both completions."""
    rows: NDArray[np.int64] = (lengths[:, 0] - lengths[:, 2] + lengths[:, 1] - lengths[:, 3]).astype(np.int64)
    return rows


def visible_keys(lengths: Lengths, share_prefix: bool) -> NDArray[np.int64]:
    """How many keys the input tokens of each pair attend to, all together: what attention costs."""
    chosen, rejected = (lengths[:, side].astype(np.int64) - 1 for side in (0, 1))
    shared = shared_tokens(lengths) if share_prefix else np.zeros_like(chosen)
    keys: NDArray[np.int64] = _triangle(chosen) + _triangle(rejected) - _triangle(shared)
    return keys


def _triangle(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return rows * (rows + 1) // 2


def attention_share(layers: int, heads: int, head_dim: int, weights: int) -> float:
    """What a key costs in tokens: 4 operations a head, dimension and layer, against 2 a weight but the embedding."""
    return 2.0 * layers * heads * head_dim / weights


def deal(costs: Sequence[float], bins: int) -> list[list[int]]:
    """Deal items onto `bins`, dearest first onto the cheapest; items keep their order within a bin."""
    loads = [(0.0, number) for number in range(bins)]
    dealt: list[list[int]] = [[] for _ in range(bins)]
    for item in sorted(range(len(costs)), key=lambda i: (-costs[i], i)):
        load, cheapest = heapq.heappop(loads)
        heapq.heappush(loads, (load + costs[item], cheapest))
        dealt[cheapest].append(item)
    return [sorted(items) for items in dealt]


def pack(
    tokens: Sequence[int], world_size: int, tokens_per_pack: int, costs: Sequence[float] | None = None
) -> list[list[int]]:
    """Items onto the fewest `world_size * k` packs of at most `tokens_per_pack`; an item over it stands alone.

    With fewer items than ranks some packs are empty: the rank then contributes nothing to the step.
    """
    capacity = max(tokens_per_pack, max(tokens, default=0))
    large = sum(2 * size > capacity for size in tokens)  # no two of these fit one pack
    k = max(1, math.ceil(sum(tokens) / (world_size * capacity)), math.ceil(large / world_size))
    while True:
        dealt = deal(tokens if costs is None else costs, world_size * k)
        if all(sum(tokens[i] for i in items) <= capacity for items in dealt):
            return dealt
        k += 1


def plan_step(
    schedule: Schedule,
    tokens: NDArray[np.int64],
    step: int,
    world_size: int,
    tokens_per_pack: int,
    costs: NDArray[np.float64] | None = None,
) -> StepPlan:
    """The packs of `step` (from 1) for every rank. Without `costs` a pair costs its tokens."""
    epoch, members = schedule.pairs_of(step)
    mine = None if costs is None else costs[members].tolist()
    dealt = pack([int(t) for t in tokens[members]], world_size, tokens_per_pack, mine)
    packs = [tuple(int(members[i]) for i in items) for items in dealt]
    per_rank = tuple(tuple(packs[rank::world_size]) for rank in range(world_size))
    return StepPlan(step=step, epoch=epoch, pairs=len(members), packs=per_rank)


def packs_in_order(members: Sequence[int], tokens: NDArray[np.int64], tokens_per_pack: int) -> Iterator[Pack]:
    """Packs filled one after the other, for passes without an optimiser: evaluation and the reference."""
    current: list[int] = []
    load = 0
    for pair in members:
        if current and load + int(tokens[pair]) > tokens_per_pack:
            yield tuple(current)
            current, load = [], 0
        current.append(int(pair))
        load += int(tokens[pair])
    if current:
        yield tuple(current)
