"""A curve in one line of block characters."""

from collections.abc import Sequence
from itertools import pairwise

_BLOCKS = "▁▂▃▄▅▆▇█"


def spark(values: Sequence[float], width: int) -> str:
    """At most `width` blocks: each the mean of its share of the values, the lowest ▁ and the highest █."""
    columns = _means(values, min(width, len(values)))
    if not columns:
        return ""
    low, high = min(columns), max(columns)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((value - low) * scale)] for value in columns)


def _means(values: Sequence[float], count: int) -> list[float]:
    edges = [len(values) * column // count for column in range(count + 1)] if count > 0 else []
    shares = [values[start:end] for start, end in pairwise(edges)]
    return [sum(share) / len(share) for share in shares]
