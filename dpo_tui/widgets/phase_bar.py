"""How far the present phase of a run is, what the phases before took, and the newest checkpoint."""

from collections.abc import Iterator

from textual.content import Content
from textual.widget import Widget

from dpo_tui import clock
from dpo_tui.follow import Follower
from dpo_tui.metrics.history import History
from dpo_tui.metrics.numbers import ago, duration
from dpo_tui.metrics.phases import Phase
from dpo_tui.text import has, t
from dpo_tui.widgets.fitted_line import fitted
from dpo_tui.widgets.plain import plain_line
from dpo_tui.widgets.state import style

_GREY = "dim"
_NARROWEST = 8
"""Cells below which a bar says nothing."""


class PhaseBar(Widget):
    """Two lines: the bar of the present phase, and what lies behind."""

    DEFAULT_CSS = "PhaseBar { height: 2; padding: 0 2; }"

    def __init__(self) -> None:
        super().__init__()
        self._follower: Follower | None = None
        self._asked = False

    def show(self, follower: Follower, *, asked: bool) -> None:
        """Draw how a run stands now. `asked`: a checkpoint was asked for, and is not there yet."""
        self._follower, self._asked = follower, asked
        self.refresh()

    def render(self) -> Content:
        """The bar; below it, where there is a second line, phases and the checkpoint."""
        if self._follower is None:
            return Content("")
        follower, width = self._follower, self.size.width
        saved = checkpoint(follower.history, asked=self._asked)
        if self.size.height < 2:
            return bar_line(follower, width, saved)
        behind = list(finished(follower.history)) or [Content("")]
        return Content("\n").join([bar_line(follower, width), fitted(behind, saved, width)])


def bar_line(follower: Follower, width: int, right: list[Content] | None = None) -> Content:
    """The phase's name, a bar, how much of what; a bar of the training once the run has ended."""
    name, done, total = present(follower)
    label = Content.styled(name, "" if follower.status.final else "bold")
    count = [Content.styled(t("monitor.count", done=f"{done:,}", total=f"{total:,}"), _GREY)] if total else []
    count = count or ([Content.styled(f"{done:,}", _GREY)] if done else [])
    rest = [*count, *(right or [])]
    room = width - label.cell_length - sum(piece.cell_length + 3 for piece in rest) - 2
    if not total or room < _NARROWEST:
        return fitted([label], rest, width)
    filled = round(max(0.0, min(1.0, done / total)) * room)
    bar = Content.assemble(("━" * filled, _filling(follower)), ("─" * (room - filled), "dim"))
    return Content.assemble(label, "  ", bar, *(part for piece in rest for part in ("   ", piece)))


def _filling(follower: Follower) -> str:
    """Bright while it moves; an end is told by its word, not by a wall of its colour."""
    return "dim" if follower.status.state in ("failed", "stopped") else style(follower.status.state)


def present(follower: Follower) -> tuple[str, int, int]:
    """Name, done and total of what goes on; 0 for what is not known."""
    history, status = follower.history, follower.status
    phase = history.current_phase
    if status.final or (phase is not None and phase.name == "train"):
        return phase_name("train"), max(history.step, status.step), history.total or status.total or 0
    if phase is None:
        return t("monitor.starting"), 0, 0
    return phase_name(phase.name), phase.done or 0, phase.total or 0


def phase_name(name: str) -> str:
    """The phase in the language spoken; one of a later version by its own name."""
    return t(f"phase.{name}") if has(f"phase.{name}") else plain_line(name).plain


def finished(history: History) -> Iterator[Content]:
    """Each phase that is over with what it took; the one that goes on, without a bar's end in sight, so far."""
    current = history.current_phase
    for phase in history.phases:
        seconds = elapsed(phase) if phase is current and phase.name != "train" else phase.seconds
        if phase.name == "train" and seconds is not None:
            seconds = history.training_seconds
        if seconds is not None:
            yield Content.styled(f"{phase_name(phase.name)} {duration(seconds)}", _GREY)


def elapsed(phase: Phase) -> float | None:
    """Seconds since a phase has started."""
    return None if phase.started is None else max(0.0, clock.now() - phase.started)


def checkpoint(history: History, *, asked: bool) -> list[Content]:
    """The newest checkpoint, how good and how old; or that one was asked for."""
    if asked:
        return [Content.styled(t("monitor.checkpoint.asked"), "$accent")]
    if not history.saves:
        return []
    save = history.saves[-1]
    sign = ("✓", "$success") if save.verified else ("✗", "$error")
    parts = [Content.assemble((t("monitor.checkpoint", step=save.step), _GREY), " ", sign)]
    if save.time is not None:
        parts[0] = Content.assemble(parts[0], (f" {ago(clock.now() - save.time)}", _GREY))
    return parts
