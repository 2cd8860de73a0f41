"""What is right, doubtful or wrong before a start, a line each; from a line one gets to the field it is about."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from textual import on
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from dpo_tui.text import t
from dpo_tui.wizard.kinds import shown
from engine.sanitize import one_line

_GLYPHS = {"ok": ("✓", "$success"), "warn": ("⚠", "$warning"), "bad": ("✗", "$error")}


@dataclass(frozen=True, slots=True)
class Said:
    """One line: its verdict, its sentence, the keys that `f` would set, and the key it is about."""

    verdict: str
    text: str
    fix: dict[str, Any] = field(default_factory=dict)
    at: str = ""

    @property
    def leads(self) -> str:
        """The key to go to; empty where there is nothing to do."""
        return "" if self.verdict == "ok" else self.at

    def content(self) -> Content:
        """The line as it is drawn."""
        glyph, style = _GLYPHS.get(self.verdict, ("", ""))
        parts = [
            (f"{glyph} " if glyph else "", style),
            (one_line(self.text), "" if self.verdict == "bad" else "dim"),
        ]
        if self.fix:
            put = ", ".join(f"{name} = {shown(value)}" for name, value in self.fix.items())
            parts.append((t("wizard.check.fix", fix=one_line(put)), "$accent"))
        return Content.assemble(*parts)


class Verdicts(OptionList):
    """Enter, or a click, on a line with something to put right leads to its field; the others take no focus."""

    DEFAULT_CSS = """
    Verdicts {
        height: auto; border: none; padding: 0; background: $background; scrollbar-size: 0 0;
        &:focus { border: none; background: $background; background-tint: transparent 0%; }
        & > .option-list--option { padding: 0; }
        & > .option-list--option-disabled { color: $foreground; }
        & > .option-list--option-highlighted { color: $foreground; background: $background; text-style: none; }
        &:focus > .option-list--option-highlighted { background: $panel; text-style: none; }
        & > .option-list--option-hover { background: $panel; }
    }
    """

    @dataclass
    class Wanted(Message):
        """Somebody wants to change this key."""

        key: str

    def __init__(self) -> None:
        super().__init__(compact=True, id="checks")
        self._said: list[Said] = []

    @property
    def leads(self) -> bool:
        """Whether there is anywhere to go from here."""
        return any(line.leads for line in self._said)

    def show(self, lines: Sequence[Said]) -> None:
        """The lines anew, the first one with something to put right marked."""
        self._said = list(lines)
        self.set_options(Option(line.content(), disabled=not line.leads) for line in lines)
        self.highlighted = next((at for at, line in enumerate(lines) if line.leads), None)
        self.can_focus = self.leads

    @on(OptionList.OptionHighlighted)
    def _moved(self, event: OptionList.OptionHighlighted) -> None:
        """The list is as high as its lines: it is the page around it that has to scroll."""
        event.stop()
        if self.has_focus and isinstance(self.parent, Widget):
            above = sum(self._rows_of(event.option_index))
            line = Region(0, self.virtual_region.y + above, self.size.width, 2)
            self.parent.scroll_to_region(line, animate=False)

    def _rows_of(self, count: int) -> Iterator[int]:
        """The rows that the first lines take."""
        for line in self._said[:count]:
            yield line.content().get_height({}, max(1, self.scrollable_content_region.width))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Wanted(self._said[event.option_index].leads))
