"""TRL's trainer on the pairs this product prepared, in its order: what every comparison with it stands on.

Importing this needs `pip install trl==1.16.0`.
"""

from collections.abc import Iterable
from typing import Any

from datasets import Dataset
from trl import DPOTrainer

from engine.data.prepared.pairs import Pair


class SamePairs(DPOTrainer):  # type: ignore[misc]
    """TRL's trainer on pairs that are tokenised already, remembering the exact loss of every step."""

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        return dataset

    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        out = super().compute_loss(*args, **kwargs)
        self.losses = [*getattr(self, "losses", []), float(out[0] if isinstance(out, tuple) else out)]
        return out


def dataset_of(batches: Iterable[Iterable[Pair]]) -> Dataset:
    """The pairs of each step one after the other, as TRL wants them."""
    return Dataset.from_list([_row(pair) for batch in batches for pair in batch])


def _row(pair: Pair) -> dict[str, list[int]]:
    start = min(pair.chosen_start, pair.rejected_start)
    return {
        "prompt_ids": pair.chosen[:start].tolist(),
        "chosen_ids": pair.chosen[start:].tolist(),
        "rejected_ids": pair.rejected[start:].tolist(),
    }
