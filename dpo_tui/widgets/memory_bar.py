"""The memory a training will take of its device: the parts of it as a bar, up to what there is and beyond."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from textual.content import Content
from textual.widget import Widget

from dpo_tui.quantities import gibibytes
from dpo_tui.text import t
from dpo_tui.widgets.columns import cell
from dpo_tui.widgets.devices import in_rows
from engine.forecast import Forecast
from engine.memory import Part
from engine.remedy import FULL

LABEL = 20
"""Cells of the label: as wide as those of the choices above."""

LOOKS: dict[Part, tuple[str, str]] = {
    "program": ("P", "$metric-other"),
    "weights": ("W", "$metric-loss"),
    "optimizer": ("O", "$metric-accuracy"),
    "gradients": ("G", "$metric-rate"),
    "activations": ("A", "$metric-margin"),
    "head": ("H", "$metric-chosen"),
}
"""Letter and hue of each part: the letters tell them apart where colours do not."""

_NARROWEST = 10


@dataclass(frozen=True, slots=True)
class Row:
    """The part that each cell of a bar belongs to, None for what is free, and how many cells are safe to fill."""

    parts: tuple[Part | None, ...]
    safe: int


def row(found: Forecast, width: int) -> Row:
    """A bar of `width` cells, as long as what there is or what is expected; parts are beyond what is safe, by a
    cell at least, just where the training may not fit.
    """
    scale = max(found.room, found.estimate.total, 1)
    safe = min(width - 1, round(width * FULL * found.room / scale))
    parts, behind = list[Part | None](), 0
    for part, size in found.estimate.parts.items():
        behind += size
        parts += [part] * (round(width * behind / scale) - len(parts))
    if found.fits:
        del parts[safe:]  # by rounding, in a bar of few cells
    else:
        parts += [found.estimate.largest] * (safe + 1 - len(parts))
    return Row(tuple(parts + [None] * (width - len(parts))), safe)


class MemoryBar(Widget):
    """A line with the bar, one with the sum, the largest part and the size of packs, and what the letters mean."""

    DEFAULT_CSS = "MemoryBar { height: auto; display: none; }"

    def __init__(self) -> None:
        super().__init__(id="memory")
        self._found: Forecast | None = None

    def show(self, found: Forecast | None) -> None:
        """Draw a forecast; nothing where there is none."""
        self._found = found
        self.display = found is not None
        self.refresh(layout=True)

    def get_content_height(self, container: object, viewport: object, width: int) -> int:  # noqa: ARG002
        """As many lines as there are at this width."""
        return len(self._lines(width))

    def render(self) -> Content:
        """All lines, each behind the label."""
        return Content("\n").join(self._lines(self.size.width))

    def _lines(self, width: int) -> list[Content]:
        if self._found is None:
            return []
        wide = max(_NARROWEST, width - LABEL)
        label, indent = cell(Content.styled(t("memory.label"), "dim"), LABEL), " " * LABEL
        below = [
            in_rows(list(_summary(self._found)), wide, " · "),
            in_rows(list(_legend(self._found)), wide),
        ]
        rest = [Content.assemble(indent, line) for rows in below for line in rows.split("\n")]
        return [Content.assemble(label, bar(self._found, wide)), *rest]


def bar(found: Forecast, width: int) -> Content:
    """The bar in `width` cells, one of which marks what is safe to take."""
    drawn = row(found, width - 1)
    within, beyond = drawn.parts[: drawn.safe], drawn.parts[drawn.safe :]
    mark = ("┃", "dim" if found.fits else "bold $error")
    last = within[-1] if within else None
    return Content.assemble(*_segments(within, None, ""), mark, *_segments(beyond, last, "$error"))


def _segments(parts: tuple[Part | None, ...], before: Part | None, hue: str) -> Iterator[tuple[str, str]]:
    """Each part as its letter and a block; the one that began `before` needs no second letter."""
    for part, cells in groupby(parts):
        count = len(list(cells))
        if part is None:
            yield "░" * count, "dim"
            continue
        letter, own = LOOKS[part]
        if part != before:
            yield letter, f"bold $background on {hue or own}"
            count -= 1
        yield "█" * count, hue or own


def _summary(found: Forecast) -> Iterator[Content]:
    """The sum against what there is, the largest part, and how many tokens a pack has."""
    expected, largest = found.estimate, found.estimate.largest
    total = t("memory.total", total=gibibytes(expected.total), room=gibibytes(found.room))
    yield Content(total) if found.fits else Content.styled(total, "$warning")
    yield Content.styled(f"{t(f'memory.part.{largest}')} {gibibytes(expected.parts[largest])}", "dim")
    yield Content.styled(t("memory.packs", tokens=f"{found.tokens_per_pack:,}"), "dim")


def _legend(found: Forecast) -> Iterator[Content]:
    """What the letters mean, with the size of each part."""
    for part, size in found.estimate.parts.items():
        if size:
            letter, hue = LOOKS[part]
            word = t(f"memory.part.{part}")
            yield Content.assemble((letter, f"bold {hue}"), (f" {word} ", "dim"), gibibytes(size))
