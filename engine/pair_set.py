"""The pairs of a run as numbers: their lengths, what they cost, where they are from, and their reference."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.config.schema import Config
from engine.data.prepared.pairs import PairStore
from engine.mix import mix_of
from engine.plan import Schedule, pack_tokens, scored_rows, visible_keys


@dataclass(slots=True)
class PairSet:
    """Columns of n pairs."""

    store: PairStore
    tokens: NDArray[np.int64]
    """Input tokens of each pair, as the policy computes them."""
    unshared: NDArray[np.int64]
    """As they would be if no prefix were shared."""
    rows: NDArray[np.int64]
    """Tokens scored."""
    costs: NDArray[np.float64]
    """In units of a token."""
    sources: NDArray[np.int32]
    reference: NDArray[np.float32]
    """[n, 2] log-probabilities, NaN where not filled."""

    @classmethod
    def of(cls, store: PairStore, share_prefix: bool, key_cost: float = 0.0) -> "PairSet":
        """`key_cost` is what a visible key costs in tokens."""
        lengths = store.lengths()
        tokens = pack_tokens(lengths, share_prefix)
        costs = tokens + key_cost * visible_keys(lengths, share_prefix)
        nothing = np.full((len(store), 2), np.nan, dtype=np.float32)
        return cls(
            store, tokens, pack_tokens(lengths, False), scored_rows(lengths), costs, store.sources(), nothing
        )


def schedule_of(config: Config, pairs: PairSet) -> Schedule:
    """The steps of a run on these pairs."""
    settings = config.train
    return Schedule(
        mix=mix_of(config, pairs.sources),
        pairs_per_step=settings.pairs_per_step,
        seed=config.run.seed,
        epochs=settings.epochs,
        max_steps=settings.max_steps,
    )


def tokens_in_all(config: Config, pairs: PairSet) -> float:
    """Input tokens of a whole run, about."""
    steps = schedule_of(config, pairs).total_steps
    return float(pairs.tokens.mean()) * config.train.pairs_per_step * steps
