"""Lines and dots on a grid of braille characters: 2 x 4 dots a cell, each cell in one style."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dpo_tui.metrics.table import Values

Pattern = Literal["solid", "dashed", "dotted", "dashdot", "dots"]
"""How a line is drawn. Never its colour alone tells it from another. `dots`: its points, unconnected."""

ACROSS, DOWN = 2, 4
"""Dots of a cell."""

_BLANK = 0x2800
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.uint8)
_DRAWN: dict[Pattern, NDArray[np.bool_]] = {
    "dashed": np.array(list("11111000")) == "1",
    "dotted": np.array(list("1000")) == "1",
    "dashdot": np.array(list("111110001000")) == "1",
}
"""Which columns of dots are drawn, again and again."""
_NOTHING = -1


class Raster:
    """Cells that hold the dots of what was drawn last in them, and whose they are."""

    def __init__(self, columns: int, rows: int) -> None:
        self.width = columns * ACROSS
        self.height = rows * DOWN
        self.styles: NDArray[np.int16] = np.full((rows, columns), _NOTHING, np.int16)
        self._bits: NDArray[np.uint8] = np.zeros((rows, columns), np.uint8)

    def draw(self, x: Values, y: Values, pattern: Pattern, style: int, *, thick: bool = False) -> None:
        """Draw points, in dots from the upper left corner, connected by lines but for `dots`.

        `thick` lines are two dots high. A cell that held something else gives way, so that a line stands out of what
        lies behind.
        """
        across, down = _dots(x, y) if pattern == "dots" or len(x) == 1 else self._connected(x, y)
        if thick:
            across, down = np.tile(across, 2), np.concatenate([down, down + 1])
        inside = (across >= 0) & (across < self.width) & (down >= 0) & (down < self.height)
        if pattern in _DRAWN:
            inside &= _DRAWN[pattern][across % len(_DRAWN[pattern])]
        across, down = across[inside], down[inside]
        bits = np.zeros_like(self._bits)
        np.bitwise_or.at(bits, (down // DOWN, across // ACROSS), _BITS[down % DOWN, across % ACROSS])
        touched = bits > 0
        kept = np.where(self.styles == style, self._bits, 0).astype(np.uint8)
        self._bits[touched] = bits[touched] | kept[touched]
        self.styles[touched] = style

    def row(self, row: int) -> list[tuple[str, int]]:
        """A row as runs of text and style, -1 for blanks."""
        styles = self.styles[row]
        starts = np.flatnonzero(np.append(True, np.diff(styles) != 0)).tolist()
        text = "".join(chr(_BLANK + bits) if bits else " " for bits in self._bits[row].tolist())
        ends = [*starts[1:], len(text)]
        return [
            (text[start:end], int(styles[start])) for start, end in zip(starts, ends, strict=True) if text
        ]

    def _connected(self, x: Values, y: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The dots of the lines between neighbours, cut off at the left and right edge."""
        x0, x1, y0, y1 = x[:-1], x[1:], y[:-1], y[1:]
        run = np.where(x1 > x0, x1 - x0, 1.0)
        start = np.clip(-x0 / run, 0, 1)
        end = np.clip((self.width - x0) / run, 0, 1)
        rise = y1 - y0
        x0, x1, y0, y1 = x0 + start * (x1 - x0), x0 + end * (x1 - x0), y0 + start * rise, y0 + end * rise
        y0, y1 = np.clip(y0, -1, self.height), np.clip(y1, -1, self.height)
        counts = np.ceil(np.maximum(np.abs(x1 - x0), np.abs(y1 - y0))).astype(np.int64) + 1
        line = np.repeat(np.arange(len(counts)), counts)
        nth = np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
        way = nth / np.maximum(counts - 1, 1)[line]
        return _rounded(x0[line] + way * (x1 - x0)[line], y0[line] + way * (y1 - y0)[line])


def _dots(x: Values, y: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Four dots a point: one alone is hard to see."""
    across, down = _rounded(x, y)
    corners = ((0, 0), (1, 0), (0, 1), (1, 1))
    return (
        np.concatenate([across // ACROSS * ACROSS + right for right, _ in corners]),
        np.concatenate([down + below for _, below in corners]),
    )


def _rounded(x: Values, y: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.floor(np.clip(x, -1, 1e6)).astype(np.int64), np.floor(np.clip(y, -1, 1e6)).astype(np.int64)
