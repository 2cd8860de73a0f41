"""What a step event reports: means over the pairs since the last one, speed, and memory."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from engine.objectives import METRICS
from engine.rundir.events import EventWriter, PhaseName


class Meter:
    """Sums metrics of pairs; `report` turns them into means and starts anew."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Forget everything, and count time from now."""
        self._sums = torch.zeros(len(METRICS), dtype=torch.float64)
        self._pairs = 0
        self._tokens = 0
        self._since = time.monotonic()

    def add(self, sums: Tensor, pairs: int, tokens: int) -> None:
        """Add metric sums [len(METRICS)] over `pairs` pairs, computed from `tokens` input tokens."""
        self._sums += sums.double().cpu()
        self._pairs += pairs
        self._tokens += tokens

    def means(self) -> dict[str, float]:
        """Mean of each metric over the pairs added."""
        return dict(zip(METRICS, (self._sums / self._pairs).tolist(), strict=True))

    def report(self) -> dict[str, float]:
        """Means, pairs and tokens a second, and the peak of memory; then start anew."""
        seconds = time.monotonic() - self._since
        out = self.means() | {
            "pairs_per_second": round(self._pairs / seconds, 4),
            "tokens_per_second": round(self._tokens / seconds, 1),
            "memory_gib": round(peak_memory_gib(), 3),
        }
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
