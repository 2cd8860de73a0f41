"""What the last values of a curve say."""

import numpy as np

from dpo_tui.metrics.table import Values

TREND_ROWS = 50
"""At most so many of the last rows are compared with as many before them."""

TREND_CERTAINTY = 2.0
"""Standard errors by which two means must differ to count as a trend."""


def last_of(values: Values) -> float | None:
    """The last value that is one."""
    if len(values) and np.isfinite(values[-1]):
        return float(values[-1])
    finite = np.flatnonzero(np.isfinite(values))
    return float(values[finite[-1]]) if len(finite) else None


def trend_of(values: Values) -> int:
    """Whether the last values lie above those before them by more than they scatter: 1, -1, or 0 for neither."""
    values = values[-2 * TREND_ROWS :]
    values = values[np.isfinite(values)]
    rows = len(values) // 2
    if rows < 2:
        return 0
    before, recent = values[-2 * rows : -rows], values[-rows:]
    error = np.sqrt((before.var() + recent.var()) / rows)
    change = float(recent.mean() - before.mean())
    return 0 if abs(change) <= TREND_CERTAINTY * error else int(np.sign(change))
