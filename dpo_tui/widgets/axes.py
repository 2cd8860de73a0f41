"""Where an axis has ticks and what they say, and which part of it is seen."""

from dataclasses import dataclass
from math import ceil, floor, log10

from dpo_tui.metrics.numbers import short

_STEPS = (1.0, 2.0, 5.0, 10.0)
SMALLEST_SPAN = 4.0
"""Steps seen at the least."""


def ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """About `most` values between `low` and `high`, at multiples of 1, 2 or 5 times a power of ten.

    Not many more, and two at least where two are to be had: one alone gives no scale.
    """
    if not high > low or most < 1:
        return []
    power = 10.0 ** floor(log10((high - low) / most))
    finer: list[float] = []
    for step in (factor * power * scale for scale in (1.0, 10.0) for factor in _STEPS):
        if whole and step < 1:
            continue
        first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
        places = [number * step for number in range(first, last + 1)] if last - first < 4 * most else []
        if first <= last < first + most:
            return finer if len(places) < 2 <= len(finer) <= most + 2 else places
        finer = places
    return finer


def labels(values: list[float]) -> list[str]:
    """The ticks' numbers, each with as many places as tell it from its neighbour."""
    if len(values) < 2:
        return [short(value) for value in values]
    gap, largest = values[1] - values[0], max(map(abs, values))
    if gap >= 1e-3 and largest < 10_000:
        places = max(0, -floor(log10(gap) + 1e-9))
        return [f"{value:.{places}f}" for value in values]
    return [_exact(value, gap) for value in values]


def _exact(value: float, gap: float) -> str:
    """A large or small number with the digits that `gap` needs."""
    size = abs(value)
    if size < gap / 2:
        return "0"
    for factor, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if size >= factor:
            places = max(0, -floor(log10(gap / factor) + 1e-9))
            return f"{value / factor:.{places}f}{letter}"
    return short(value)


@dataclass(slots=True)
class Viewport:
    """The steps that are seen: all of them, or a span that follows the newest step or stands still."""

    span: float | None = None
    """Steps across; None: all."""
    end: float | None = None
    """The last one seen; None: the newest, whatever that becomes."""

    @property
    def zoomed(self) -> bool:
        """Whether some steps may be out of sight."""
        return self.span is not None

    def window(self, first: float, last: float) -> tuple[float, float]:
        """The first and the last step seen of a curve from `first` to `last`."""
        if self.span is None:
            return first, max(last, first + 1)
        end = last if self.end is None else min(self.end, last)
        return end - self.span, end

    def zoom(self, factor: float, first: float, last: float, at: float = 1.0) -> None:
        """See `factor` times as many steps; the step at share `at` of the width stays in its place."""
        low, high = self.window(first, last)
        span = max(SMALLEST_SPAN, (high - low) * factor)
        if span >= last - first:
            self.reset()
            return
        pivot = low + at * (high - low)
        self.span = span
        self._end_at(pivot + (1 - at) * span, first, last, stay=high >= last and at > 0.8)

    def pan(self, share: float, first: float, last: float) -> None:
        """Move by a share of what is seen, to the right if positive."""
        if self.span is None:
            return
        _, high = self.window(first, last)
        self._end_at(high + share * self.span, first, last)

    def reset(self) -> None:
        """See everything, and follow."""
        self.span = self.end = None

    def _end_at(self, end: float, first: float, last: float, *, stay: bool = False) -> None:
        assert self.span is not None
        self.end = None if stay or end >= last else max(end, first + self.span)
