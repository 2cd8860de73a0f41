"""Where one is in the wizard: five steps with their state, or one line of it where there is no room."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from dpo_tui.text import t
from dpo_tui.wizard.step import Step
from engine.sanitize import one_line

_GLYPHS: dict[str, tuple[str, str]] = {
    "fault": ("✗", "$error"),
    "doubt": ("⚠", "$warning"),
    "current": ("▸", "$accent"),
    "done": ("✓", "$success"),
    "ahead": (" ", "dim"),
}


class Rail(Vertical):
    """The steps, one below the other; a click goes there."""

    DEFAULT_CSS = """
    Rail { width: 26; height: 1fr; padding: 1 1 0 2; }
    Rail > RailEntry { height: auto; margin-bottom: 1; pointer: pointer; }
    Rail > RailEntry:hover { background: $panel; }
    """

    @dataclass
    class Wanted(Message):
        """Somebody wants to be at another step."""

        index: int

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__(id="rail")
        self._steps = steps

    def compose(self) -> ComposeResult:
        for index in range(len(self._steps)):
            yield RailEntry(index)

    def show(self, current: int, seen: set[int]) -> None:
        """Draw it for the step one is at; those that were seen without a fault are done."""
        for entry, step in zip(self.query(RailEntry), self._steps, strict=True):
            state = state_of(step, entry.index, current, seen)
            glyph, style = _GLYPHS[state]
            name = "bold" if entry.index == current else ("" if state == "done" else "dim")
            summary = one_line(step.summary()) if entry.index != current or state == "done" else ""
            lines = [Content.assemble((f"{glyph} ", style), (title_of(step), name))]
            if summary:
                lines.append(Content.styled(f"  {summary}", "dim"))
            entry.update(Content("\n").join(lines))


class RailEntry(Static):
    """One step of the rail."""

    DEFAULT_CSS = "RailEntry { text-wrap: nowrap; text-overflow: ellipsis; }"

    def __init__(self, index: int) -> None:
        super().__init__(markup=False)
        self.index = index

    def on_click(self) -> None:
        """Go there."""
        self.post_message(Rail.Wanted(self.index))


def state_of(step: Step, index: int, current: int, seen: set[int]) -> str:
    """`fault`, `doubt`, `current`, `done` or `ahead`; where one is counts for less than what is wrong elsewhere."""
    if index == current:
        return "current"
    if step.problems():
        return "fault"
    if step.doubtful:
        return "doubt"
    return "done" if index in seen and step.settled else "ahead"


def title_of(step: Step) -> str:
    """The step's name."""
    return t(f"wizard.step.{step.step_id}")


def folded(steps: Sequence[Step], current: int) -> Content:
    """The rail on one line: where one is, and which other steps have something wrong or doubtful."""
    place = t("wizard.place", number=current + 1, count=len(steps), title=title_of(steps[current]))
    others = [(step, state_of(step, index, current, set())) for index, step in enumerate(steps)]
    marked = [(step, *_GLYPHS[state]) for step, state in others if state in ("fault", "doubt")]
    marks = [(f"   {glyph} {title_of(step)}", style) for step, glyph, style in marked]
    return Content.assemble(("▸ ", "$accent"), (place, "bold"), *marks)
