"""Counts as a row of blocks, each as high as its share of the largest."""

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"


def blocks(counts: Sequence[int]) -> str:
    """A block a count; one that is not 0 rises above the ground."""
    highest = max(counts, default=0)
    return "".join(BLOCKS[_level(count, highest)] for count in counts)


def _level(count: int, highest: int) -> int:
    return 0 if count <= 0 else max(1, round(count / highest * (len(BLOCKS) - 1)))
