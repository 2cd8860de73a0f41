"""Timing that drifting machines cannot mislead: contestants take turns, and of each the best turn counts."""

import time
from collections.abc import Callable, Mapping

Contestants = Mapping[str, Callable[[], object]]


def best_of(contestants: Contestants, turns: int = 7) -> dict[str, float]:
    """Seconds of each, the least of `turns` after one that warms it up."""
    best = dict.fromkeys(contestants, float("inf"))
    for turn in range(turns + 1):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            seconds = time.perf_counter() - start
            if turn:
                best[name] = min(best[name], seconds)
    return best
