"""A config that is not even TOML: what is wrong, where, and the file's text around it."""

from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from dpo_tui.text import t
from dpo_tui.text.explain import problem_text
from dpo_tui.widgets.plain import plain
from dpo_tui.widgets.toml_view import numbered
from engine.config.problems import ConfigError, Problem
from engine.config.strings import masked
from engine.config.toml import LARGEST
from engine.sanitize import one_line


class BrokenFile(Vertical):
    """Shown in place of the steps, until the file is put right in an editor and read again.

    What is wrong stays in sight, however far the file's text below it is scrolled.
    """

    def __init__(self, path: Path, error: ConfigError) -> None:
        super().__init__(id="broken")
        self._path = path
        self._error = error

    def compose(self) -> ComposeResult:
        yield Static(Content(t("wizard.broken.title", path=one_line(str(self._path)))), classes="heading")
        with VerticalScroll(id="reasons", can_focus=False):
            yield Static(Content("\n").join(_told(problem) for problem in self._error.problems))
        yield Static(t("wizard.broken.hint"), classes="note", markup=False)
        with VerticalScroll(id="source"):
            yield Static(numbered(masked(_text(self._path)), self._lines()))

    def on_mount(self) -> None:
        """Arrow keys scroll, and the first wrong line is in sight."""
        self.query_one("#source").focus()
        if lines := sorted(self._lines()):
            self.call_after_refresh(self._reveal, lines[0])

    def _reveal(self, line: int) -> None:
        source = self.query_one("#source")
        height = source.scrollable_content_region.height
        if line > height:
            source.scroll_to(y=line - height // 2, animate=False)

    def _lines(self) -> set[int]:
        return {problem.line for problem in self._error.problems if problem.line is not None}


def _told(problem: Problem) -> Content:
    line = "" if problem.line is None else t("wizard.broken.line", line=problem.line)
    return Content.assemble(("✗ ", "$error"), (line, "bold"), plain(problem_text(problem)))


def _text(path: Path) -> str:
    """The file as far as a config may be long; nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST).decode(errors="replace")
    except OSError:
        return ""
