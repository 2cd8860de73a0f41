"""Which pairs an epoch visits, and how often: several sources mixed by their weights.

A source of n pairs with weight w is visited round(w n) times an epoch, walking round a fixed shuffled circle of its
pairs. So over any number of epochs each pair of a source is visited as often as the others, give or take one, and
with all weights 1 every pair once an epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from engine.config.schema import Config
from engine.exits import UnusableError

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Mix:
    """sources: [pairs], the source of each pair. weights: of each source."""

    sources: NDArray[np.int32]
    weights: Sequence[float]

    @classmethod
    def even(cls, pairs: int) -> "Mix":
        """Every pair once an epoch."""
        return cls(np.zeros(pairs, dtype=np.int32), (1.0,))

    @property
    def pairs(self) -> int:
        """Pairs there are, however often they are visited."""
        return len(self.sources)

    @cached_property
    def _members(self) -> list[Indices]:
        return [np.flatnonzero(self.sources == number) for number in range(len(self.weights))]

    @cached_property
    def _visits(self) -> list[int]:
        """Visits to each source in an epoch; a source that has pairs is never left out."""
        return [
            max(1, round(weight * len(members))) if len(members) else 0
            for weight, members in zip(self.weights, self._members, strict=True)
        ]

    @property
    def visits(self) -> int:
        """Pairs visited in an epoch, each counted as often as it is visited."""
        return sum(self._visits)

    def order(self, seed: int, epoch: int) -> Indices:
        """[visits] the pairs of an epoch (from 0) in their order: the same on every machine for the same seed."""
        drawn = [self._drawn(number, seed, epoch) for number in range(len(self.weights))]
        members = np.sort(np.concatenate(drawn))
        return members[np.random.Generator(np.random.PCG64([seed, epoch])).permutation(len(members))]

    def _drawn(self, number: int, seed: int, epoch: int) -> Indices:
        members, visits = self._members[number], self._visits[number]
        if visits == len(members):
            return members
        circle = np.random.Generator(np.random.PCG64([seed, number, 1])).permutation(members)
        return circle[(epoch * visits + np.arange(visits)) % len(members)]


def mix_of(config: Config, sources: NDArray[np.int32]) -> Mix:
    """The mix a config asks for of pairs that come from `sources` [pairs]."""
    return Mix(sources, [source.weight for source in config.data.sources])


def require_step(mix: Mix, pairs_per_step: int) -> None:
    """Raise UnusableError when weights below 1 leave fewer visits in an epoch than one step takes."""
    if mix.visits < pairs_per_step:
        text = (
            f"With the weights of their sources an epoch visits {mix.visits:,} of the {mix.pairs:,} pairs, and one "
            f"step takes {pairs_per_step:,}. Raise the weights, or set train.pairs_per_step to {mix.visits:,} or less."
        )
        raise UnusableError(
            "data.too_few_visits", text, visits=mix.visits, pairs=mix.pairs, pairs_per_step=pairs_per_step
        )


def source_names(paths: Sequence[str]) -> list[str]:
    """A short name for each source, as metrics are reported under: the end of its path, numbered where it repeats."""
    names: list[str] = []
    for path in paths:
        name = PurePath(path).name or path
        seen = sum(other == name or other.startswith(f"{name} (") for other in names)
        names.append(f"{name} ({seen + 1})" if seen else name)
    return names
