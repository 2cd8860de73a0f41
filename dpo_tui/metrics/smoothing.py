"""The course of a noisy curve."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dpo_tui.metrics.decimate import column_starts
from dpo_tui.metrics.table import Values

Smoothing = Literal["none", "light", "strong"]
AMOUNTS: tuple[Smoothing, ...] = get_args(Smoothing)

_SHARES: dict[Smoothing, float] = {"none": 0.0, "light": 0.01, "strong": 0.05}
"""Of all rows: over so many a value is averaged, and over `_FEWEST` at least."""
_FEWEST: dict[Smoothing, float] = {"none": 0.0, "light": 3.0, "strong": 10.0}

_SPAN = 300.0
"""Time constants in one piece of the sum: beyond e^700 a float overflows."""


def time_constant(x: NDArray[np.int64], amount: Smoothing) -> float:
    """The steps over which `amount` averages: as many rows whatever `train.log_every` is."""
    if len(x) < 2:
        return 0.0
    rows = max(_FEWEST[amount], _SHARES[amount] * len(x)) if amount != "none" else 0.0
    return rows * float(x[-1] - x[0]) / (len(x) - 1)


def smooth(x: NDArray[np.int64] | Values, y: Values, constant: float) -> Values:
    """Exponential moving average that decays by e every `constant` steps, free of the bias of a start at zero.

    x ascends; steps may be missing. Values that are absent stay so and weigh nothing.
    """
    finite = np.isfinite(y)
    if constant <= 0 or not finite.any():
        return y
    age = (x[finite] - x[finite][0]) / constant
    sums = np.empty((2, len(age)))
    carried, start = np.zeros(2), 0
    while start < len(age):
        end = int(np.searchsorted(age, age[start] + _SPAN, side="right"))
        grown = np.exp(age[start:end] - age[start])
        terms = np.stack([y[finite][start:end] * grown, grown])
        terms[:, 0] += carried
        sums[:, start:end] = np.cumsum(terms, axis=1) / grown
        if end < len(age):
            carried = sums[:, end - 1] * np.exp(age[end - 1] - age[end])
        start = end
    smoothed = np.full(len(y), np.nan)
    smoothed[finite] = sums[0] / sums[1]
    return smoothed


def means(x: NDArray[np.int64] | Values, y: Values, columns: int) -> tuple[Values, Values]:
    """Mean place and mean value of each of `columns` equal parts of x: what smoothing needs of a long curve."""
    if len(x) <= 2 * columns:
        return x.astype(np.float64), y
    finite = np.isfinite(y)
    places, values = (x, y) if finite.all() else (x[finite], y[finite])
    if not len(places):
        return x[:0].astype(np.float64), y[:0]
    starts = column_starts(places, columns, float(places[0]), float(places[-1]))
    sizes = np.diff(np.append(starts, len(places)))
    return np.add.reduceat(places, starts) / sizes, np.add.reduceat(values, starts) / sizes
