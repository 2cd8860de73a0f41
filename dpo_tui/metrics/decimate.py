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
    x, y = x[first:last], y[first:last]
    finite = np.isfinite(y)
    gaps = np.zeros(0, np.int64)
    if not finite.all():
        gaps, x, y = np.cumsum(~finite)[finite], x[finite], y[finite]
    if len(x) > 2 * columns:
        kept = extremes(y, column_starts(x, columns, low, high))
        x, y, gaps = x[kept], y[kept], gaps[kept] if len(gaps) else gaps
    cuts = np.flatnonzero(np.diff(gaps)) + 1
    x = x.astype(np.float64)
    return [(x[start:end], y[start:end]) for start, end in pairwise([0, *cuts, len(x)])] if len(x) else []


def column_starts(x: NDArray[np.int64] | Values, columns: int, low: float, high: float) -> NDArray[np.int64]:
    """Where each column that holds something begins; what lies outside counts to the first and the last one."""
    inner = low + (high - low) * np.arange(1, columns) / columns
    starts = np.unique(np.append(0, np.searchsorted(x, inner)))
    return starts[starts < len(x)]


def extremes(y: Values, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of the first lowest and the first highest value of each column, ascending.

    A loop over the columns: numpy looks at each value twice and copies none, so a long curve costs what a short one
    does.
    """
    found: list[int] = []
    for start, end in pairwise([*starts.tolist(), len(y)]):
        part = y[start:end]
        lowest, highest = start + int(part.argmin()), start + int(part.argmax())
        found += [lowest] if lowest == highest else sorted((lowest, highest))
    return np.array(found, np.int64)
