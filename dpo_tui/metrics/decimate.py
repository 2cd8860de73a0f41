"""No more points than a screen has columns, without losing a spike."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dpo_tui.metrics.table import Values

Points = tuple[Values, Values]
"""x and y of what is drawn as one line."""


def decimate(x: NDArray[np.int64] | Values, y: Values, columns: int, low: float, high: float) -> list[Points]:
    """The curve between `low` and `high` in at most 2 points a column, cut into lines where values are absent.

    x ascends. Each column keeps its lowest and its highest value, in the order in which they came; the neighbours
    outside of the range are kept as well, so that lines run to the edge.
    """
    first = max(0, int(np.searchsorted(x, low, side="left")) - 1)
    last = min(len(x), int(np.searchsorted(x, high, side="right")) + 1)
    x, y = x[first:last].astype(np.float64), y[first:last]
    finite = np.isfinite(y)
    gaps = np.cumsum(~finite)[finite]
    x, y = x[finite], y[finite]
    if len(x) > 2 * columns:
        kept = extremes(y, column_of(x, columns, low, high))
        x, y, gaps = x[kept], y[kept], gaps[kept]
    cuts = np.flatnonzero(np.diff(gaps)) + 1
    return [(part, y[start : start + len(part)]) for start, part in _parts(x, cuts)] if len(x) else []


def column_of(x: Values, columns: int, low: float, high: float) -> NDArray[np.int64]:
    """The column in which each x lies; what lies outside counts to the nearest one."""
    scale = columns / (high - low) if high > low else 0.0
    return np.clip((x - low) * scale, 0, columns - 1).astype(np.int64)


def extremes(y: Values, column: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the first lowest and the first highest value of each column, ascending. `column` ascends."""
    starts = column_starts(column)
    sizes = np.diff(np.append(starts, len(y)))
    places = np.arange(len(y))
    found = []
    for best in (np.minimum, np.maximum):
        reached = y == np.repeat(best.reduceat(y, starts), sizes)
        found.append(np.minimum.reduceat(np.where(reached, places, len(y)), starts))
    return np.unique(np.concatenate(found))


def column_starts(column: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each column that holds something begins."""
    return np.flatnonzero(np.append(True, np.diff(column) != 0))


def _parts(x: Values, cuts: NDArray[np.int64]) -> list[tuple[int, Values]]:
    edges = [0, *cuts.tolist(), len(x)]
    return [(start, x[start:end]) for start, end in pairwise(edges)]
