"""A run's events on their way out: JSON lines for programs, a calm progress line for people.

Stdout is data, stderr is talk. Everything that came from a run is untrusted: it is sanitized, and never markup.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

from dpo_tui.sentences import METRICS, Event, Sentences, count_of, lasting_line, metrics, phase_word, whole
from dpo_tui.text import t
from engine.exits import Exit
from engine.sanitize import brief, one_line, visible

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_WIDE_ENOUGH_FOR_ALL_METRICS = 86
_WIDE_ENOUGH_FOR_A_BAR = 112


class Display(Protocol):
    """Something that shows events as they come."""

    def show(self, event: Event) -> None:
        """Show one event."""

    def close(self) -> None:
        """The last event was shown."""


def choose_display(*, json: bool) -> Display:
    """JSON lines where asked for or where stdout is no terminal; else progress, plain on a dumb terminal."""
    if prints_json(json=json):
        return JsonLines()
    return PlainLines() if os.environ.get("TERM", "dumb") == "dumb" else CalmProgress()


def prints_json(*, json: bool) -> bool:
    """Whether events are printed for programs: asked for, or stdout is no terminal."""
    return json or not sys.stdout.isatty()


def say(text: str) -> None:
    """Write the lines that were asked for to stdout. Raises OSError when it takes none."""
    _put(sys.stdout, visible(text))


def talk(text: str) -> None:
    """Write lines to stderr."""
    _write(sys.stderr, brief(visible(text)))


class JsonLines:
    """Each event as one line of ASCII JSON on stdout, at once."""

    def show(self, event: Event) -> None:
        """Write the event."""
        _write(sys.stdout, json.dumps(event))

    def close(self) -> None:
        """Nothing is left to do."""


class PlainLines:
    """For a terminal that cannot move its cursor: a line for what matters, and now and then one for a step."""

    def __init__(self) -> None:
        self._sentences = Sentences(lambda _: time.monotonic())

    def show(self, event: Event) -> None:
        """Write the event if it deserves a line."""
        if line := self._sentences.of(event):
            _write(sys.stdout, visible(line))

    def close(self) -> None:
        """Nothing is left to do."""


class CalmProgress:
    """One line that moves, and one that stays for each evaluation, checkpoint and warning."""

    def __init__(self) -> None:
        self._progress = _rich_progress()
        self._tasks: dict[str, TaskID] = {}
        self._totals: dict[str, int | None] = {}
        self._from_step = 0
        self._print = _rich_printer(self._progress)
        self._starting: TaskID | None = self._progress.add_task(
            t("stream.starting"), total=None, count="", metrics="", eta=""
        )
        self._progress.start()

    def show(self, event: Event) -> None:
        """Move the line, or leave one."""
        if self._starting is not None:
            self._progress.remove_task(self._starting)
            self._starting = None
        if event["type"] == "phase":
            self._phase(str(event.get("phase")), event)
        elif event["type"] == "step":
            few = self._progress.console.width < _WIDE_ENOUGH_FOR_ALL_METRICS
            shown = metrics(event, ("loss",) if few else METRICS)
            self._move("train", whole(event.get("step")) or 0, shown)
        elif event["type"] == "resume":
            self._from_step = whole(event.get("from_step")) or 0
        if line := lasting_line(event):
            self._print(visible(line))

    def close(self) -> None:
        """Take the moving line away."""
        self._progress.stop()

    def _phase(self, phase: str, event: Event) -> None:
        total, done = whole(event.get("total")), whole(event.get("done"))
        if event.get("state") == "end":
            if phase in self._tasks:
                self._progress.remove_task(self._tasks.pop(phase))
            return
        if total is not None:
            self._totals[phase] = total
        self._move(phase, done)

    def _move(self, phase: str, done: int | None, shown: str | None = None) -> None:
        """Bring the phase's line up to date; what is None stays as it is."""
        total = self._totals.get(phase)
        if phase not in self._tasks:
            begun = (
                self._from_step if phase == "train" else 0
            )  # what was done before says nothing of the speed
            count = count_of(begun, total) if total else ""
            self._tasks[phase] = self._progress.add_task(
                one_line(phase_word(phase)), total=total, completed=begun, count=count, metrics="", eta=""
            )
        task = self._tasks[phase]
        self._progress.update(task, total=total, completed=done, eta=t("stream.eta") if total else "")
        if done is not None:
            self._progress.update(task, count=count_of(done, total))
        if shown is not None:
            self._progress.update(task, metrics=shown)


def _rich_progress() -> "Progress":
    """The moving line, with a bar where there is room for one beside the numbers."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(file=sys.stdout, highlight=False)
    return Progress(
        TextColumn("{task.description}", markup=False),
        *([BarColumn(bar_width=24)] if console.width >= _WIDE_ENOUGH_FOR_A_BAR else []),
        TextColumn("{task.fields[count]}", markup=False),
        TextColumn("{task.fields[metrics]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[eta]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        refresh_per_second=4,
    )


def _rich_printer(progress: "Progress") -> Callable[[str], None]:
    from rich.text import Text

    return lambda line: progress.console.print(Text(line))


def _write(stream: TextIO, text: str) -> None:
    """Write lines at once. When the reader has gone the run goes on unseen: its hours are worth more."""
    try:
        _put(stream, text)
    except (OSError, ValueError, AttributeError):  # it is None when this process was started without it
        _silence(stream)


def _put(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def give_up(error: OSError) -> Exit:
    """Say what the system refused, most often a write to stdout; nothing where the reader just went away."""
    _silence(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return Exit.TRAINING_FAILED  # the 1 that a command whose reader left gives elsewhere, too
    where = f"{one_line(str(error.filename))}: " if error.filename is not None else ""
    talk(f"dpo-tui: {where}{error.strerror or error}")
    return Exit.CANNOT_WRITE


def _silence(stream: TextIO) -> None:
    """Point a broken stream at nothing, so that not even the interpreter's last flush fails."""
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
    except (OSError, ValueError, AttributeError):
        return
