"""One line with a left and a right side: what does not fit is left out piece by piece, never cut in the middle."""

from collections.abc import Sequence

from textual.content import Content

GAP = "   "


def fitted(left: Sequence[Content], right: Sequence[Content], width: int, gap: str = GAP) -> Content:
    """The pieces in `width` cells. The first of the right side go first, then the last of the left but one."""
    left, right = list(left), list(right)
    while _cells(left, gap) + _cells(right, gap) + (len(gap) if right else 0) > width:
        if right:
            right.pop(0)
        elif len(left) > 1:
            left.pop()
        else:
            return left[0].truncate(max(1, width), ellipsis=True) if left else Content("")
    space = width - _cells(left, gap) - _cells(right, gap)
    return Content.assemble(Content(gap).join(left), " " * space, Content(gap).join(right))


def _cells(pieces: Sequence[Content], gap: str) -> int:
    return sum(piece.cell_length for piece in pieces) + len(gap) * max(0, len(pieces) - 1)
