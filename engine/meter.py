"""What a step event reports: means over the pairs since the last one, speed, and memory."""

import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from engine.objectives import METRICS
from engine.rundir.events import EventWriter, PhaseName

COLUMNS = len(METRICS) + 1
"""Of a table of sums: the metrics, then how many pairs they are summed over."""


def metric_sums(metrics: Tensor, sources: Tensor, count: int) -> Tensor:
    """[count, COLUMNS] sums by source of the metrics [B, len(METRICS)] of pairs from `sources` [B]."""
    rows = torch.cat([metrics, torch.ones_like(metrics[:, :1])], dim=1)
    return rows.new_zeros(count, COLUMNS).index_add_(0, sources, rows)


class Meter:
    """Sums metrics of pairs, each source for itself; `report` turns them into means and starts anew."""

    def __init__(self, sources: Sequence[str] = ("",)) -> None:
        self.sources = sources
        self.start()

    def start(self) -> None:
        """Forget everything, and count time from now."""
        self._sums = torch.zeros(len(self.sources), COLUMNS, dtype=torch.float64)
        self._tokens = 0
        self._since = time.monotonic()

    def add(self, sums: Tensor, tokens: int = 0) -> None:
        """Add sums by source [len(sources), COLUMNS], computed from `tokens` input tokens."""
        self._sums += sums.double().cpu()
        self._tokens += tokens

    def means(self) -> dict[str, float]:
        """Mean of each metric over the pairs added."""
        return _means(self._sums.sum(0))

    def by_source(self) -> dict[str, dict[str, Any]]:
        """{"sources": {name: its number of pairs and means}}; empty when there is one source only."""
        if len(self.sources) < 2:
            return {}
        rows = zip(self.sources, self._sums, strict=True)
        return {"sources": {name: {"pairs": int(row[-1]), **_means(row)} for name, row in rows if row[-1]}}

    def report(self) -> dict[str, Any]:
        """Means, pairs and tokens a second, the peak of memory, and the means by source; then start anew."""
        seconds = time.monotonic() - self._since
        out: dict[str, Any] = self.means() | {
            "pairs_per_second": round(float(self._sums[:, -1].sum()) / seconds, 4),
            "tokens_per_second": round(self._tokens / seconds, 1),
            "memory_gib": round(peak_memory_gib(), 3),
        }
        out |= self.by_source()
        self.start()
        return out

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time spent within is not the training's: evaluation, saving."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._since += time.monotonic() - start


def _means(sums: Tensor) -> dict[str, float]:
    return dict(zip(METRICS, (sums[:-1] / sums[-1]).tolist(), strict=True))


def peak_memory_gib() -> float:
    """Most memory used so far: allocated on the GPU, or resident on the CPU."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts KiB


def progress_of(
    events: EventWriter, phase: PhaseName, every: float = 0.5
) -> Callable[[int, int | None], None]:
    """A callback (done, total) that writes progress events of `phase`, at most one in `every` seconds."""
    last = time.monotonic()

    def progress(done: int, total: int | None) -> None:
        nonlocal last
        if time.monotonic() - last >= every:
            last = time.monotonic()
            events.phase(phase, "progress", done, total)

    return progress
