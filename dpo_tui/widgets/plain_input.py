"""An input whose text may be anybody's: a value of a config, a path."""

from itertools import accumulate

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import Input

from engine.sanitize import same_length


class PlainInput(Input):
    """Draws one character in the place of each that would steer the terminal; its value keeps them.

    So the cursor, the selection and the mouse count the same characters in what is shown and in what is meant.
    """

    @property
    def _value(self) -> Text:
        return Text(same_length(self.value), no_wrap=True, overflow="ignore", end="")

    def _position_to_cell(self, position: int) -> int:
        return cell_len(same_length(self.value[:position]))

    def _cell_offset_to_index(self, offset: int) -> int:
        """The character at a cell, behind the last one where there is none."""
        offset += self.scroll_offset.x
        ends = accumulate(map(cell_len, same_length(self.value)))
        return next((index for index, end in enumerate(ends) if offset < end), len(self.value))
