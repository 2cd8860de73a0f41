"""Columns of a table that is drawn line by line: which fit, and text cut or filled to their width."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size
from textual.content import Content

GAP = 2
"""Cells between two columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column by its name: how wide, on which side its text stands, from which width of the table on it is there."""

    name: str
    width: int
    right: bool = False
    least: int = 0
    grow: int = 0
    """The width up to which it takes what is left over; 0: none."""


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns of a table `width` cells wide; one that grows has shrunk or grown to what is left."""
    shown = [column for column in columns if width >= column.least]
    spare = width - sum(column.width for column in shown) - GAP * (len(shown) - 1)
    fitted = []
    for column in shown:
        if column.grow:
            changed = max(4, min(column.grow, column.width + spare))
            spare -= changed - column.width
            fitted.append(replace(column, width=changed))
        else:
            fitted.append(column)
    return fitted


def cut(text: str, width: int) -> str:
    """`text` in at most `width` cells, with … where some of it is missing."""
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…"


def cell(content: Content, width: int, *, right: bool = False) -> Content:
    """`content` in exactly `width` cells."""
    if content.cell_length > width:
        content = content.truncate(width, ellipsis=True)
    fill = " " * (width - content.cell_length)
    return Content.assemble(fill, content) if right else Content.assemble(content, fill)
