"""A run's logs: the end as it grows, any place of it, any word in it, of each rank."""

import re
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from dpo_tui.keys import key
from dpo_tui.log_file import LogFile
from dpo_tui.log_search import LogSearch
from dpo_tui.run_log import RunLog
from dpo_tui.run_story import RunStory
from dpo_tui.text import t
from dpo_tui.widgets.log_lines import LogLines
from dpo_tui.widgets.plain import plain_line
from dpo_tui.widgets.plain_input import PlainInput
from engine.rundir.paths import RunDir

POLL_SECONDS = 0.1
BREATH_SECONDS = 0.002
"""Between two slices of a long log, so that keys are heard."""
UNSEEN_POLLS = 10
"""Of so many polls one is made while the terminal has not the focus."""
RANKS_POLLS = 20
"""With each so manieth poll the logs of further ranks are looked for."""


class LogView(Vertical):
    """The logs of `run`, the one of rank 0 and the supervisor first: with the lines of `story` in it."""

    DEFAULT_CSS = """
    LogView {
        .log-title { height: 1; padding: 0 2; color: $text-muted; }
        .log-title Static { text-wrap: nowrap; text-overflow: ellipsis; }
        #log-name { width: 1fr; }
        #log-place { width: auto; max-width: 75%; }
        Input { height: 1; padding: 0 2; display: none; background: $panel; }
        &.-searching Input { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        key("log.find", "slash", "find"),
        key("log.next", "n", "match(1)"),
        key("log.previous", "N", "match(-1)"),
        key("log.next_rank", "right_square_bracket", "other(1)"),
        key("log.previous_rank", "left_square_bracket", "other(-1)"),
        key("log.unfind", "escape", "unfind"),
    ]

    class Searched(Message):
        """A search has come to the end of what there is."""

        def __init__(self, search: LogSearch) -> None:
            super().__init__()
            self.search = search

    def __init__(
        self,
        run: RunDir,
        story: RunStory | None = None,
        *,
        id: str | None = None,  # noqa: A002 # textual's name of it
    ) -> None:
        super().__init__(id=id)
        self._run = run
        self._story = story
        self.rank = 0
        self._log = self._open(0)
        self._search: LogSearch | None = None
        self._busy = False
        self._generation = 0
        self._polls = 0
        self._ranks = [0]
        self._catching_up = False

    def compose(self) -> ComposeResult:
        with Horizontal(classes="log-title"):
            yield Static(id="log-name")
            yield Static(id="log-place")
        yield LogLines(self._log)
        yield PlainInput(placeholder=t("log.find"), compact=True)

    @property
    def lines(self) -> LogLines:
        """The lines themselves."""
        return self.query_one(LogLines)

    def help_text(self) -> str:
        """What one can do here."""
        return t("log.help")

    def on_mount(self) -> None:
        """Read what there is, then look for more again and again."""
        self._find_ranks()
        self._poll()
        self.set_interval(POLL_SECONDS, self._tick)
        self._tell()

    def on_unmount(self) -> None:
        """Release the file."""
        self._log.close()

    def _tick(self) -> None:
        self._polls += 1
        if self._polls % RANKS_POLLS == 0:
            self._find_ranks()
        rarely = not self.app.app_focus and self._polls % UNSEEN_POLLS
        if self.display and self.screen.is_active and not rarely and not self._catching_up:
            self._poll()

    def _poll(self) -> None:
        changed = self._log.poll()
        if changed:
            self.lines.grown()
        if self._search is not None:
            self._go_on_searching(self._search)
        self._catching_up = changed and self._log.behind > 0
        if self._catching_up:
            self.set_timer(BREATH_SECONDS, self._poll)

    def _tell(self) -> None:
        """Bring the title up to date."""
        ranks = self._ranks
        name = self._run.rank_log(self.rank).name
        several = t("log.ranks", rank=self.rank, ranks=len(ranks)) if len(ranks) > 1 else ""
        title = Content.assemble(t("log.title"), "  ", plain_line(name), f"  {several}" if several else "")
        self.query_one("#log-name", Static).update(title)
        self.query_one("#log-place", Static).update(plain_line(self._place()))

    def _place(self) -> str:
        """Where one is: at a match, at a line, or at the end."""
        search, lines, total = self._search, self.lines, len(self._log)
        if search is not None:
            found = f"{len(search.lines):,}{'+' if search.full else ''}"
            rank = search.rank(lines.current) if lines.current is not None else None
            key = "log.searching" if self._busy else "log.match" if rank else "log.matches"
            return t(key, query=search.query, found=found, rank=f"{rank or 0:,}")
        if not total:
            return t("log.empty")
        if self._log.behind:
            return t("log.reading", share=f"{1 - self._log.behind / self._log.size:.0%}")
        return (
            t("log.following")
            if lines.following
            else t("log.line", line=f"{lines.bottom + 1:,}", total=f"{total:,}")
        )

    @on(LogLines.Moved)
    def _moved(self, event: LogLines.Moved) -> None:
        event.stop()
        self._tell()

    # Other ranks

    def _find_ranks(self) -> None:
        """Look which ranks have a log."""
        names = (
            re.fullmatch(r"rank-(\d{1,6})\.log", path.name) for path in self._run.ranks_dir.glob("rank-*.log")
        )
        ranks = sorted({0, *(int(name[1]) for name in names if name)})
        if ranks != self._ranks:
            self._ranks = ranks
            self.refresh_bindings()
            self._tell()

    def action_other(self, step: int) -> None:
        """Show the log of the next or previous rank."""
        self._find_ranks()
        ranks = self._ranks
        at = ranks.index(self.rank) if self.rank in ranks else 0
        self._show(ranks[(at + step) % len(ranks)])

    def _show(self, rank: int) -> None:
        self.action_unfind()
        self._log.close()
        self.rank, self._log = rank, self._open(rank)
        self.lines.show(self._log)
        if not self._catching_up:
            self._poll()
        self._tell()

    def _open(self, rank: int) -> LogFile | RunLog:
        path = self._run.rank_log(rank)
        return LogFile(path) if rank or self._story is None else RunLog(path, self._story)

    # Searching

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 # textual's
        """Some keys mean something only while there is something found, or several ranks."""
        if action in ("match", "unfind"):
            return self._search is not None or self.has_class("-searching")
        return len(self._ranks) > 1 if action == "other" else True

    def action_find(self) -> None:
        """Ask for a word."""
        self.add_class("-searching")
        field = self.query_one(Input)
        field.select_on_focus = True
        field.focus()

    def action_unfind(self) -> None:
        """Leave the search."""
        self.workers.cancel_node(self)
        self._search = self.lines.search = self.lines.current = None
        self.remove_class("-searching")
        self.lines.focus()
        self.lines.refresh()
        self._tell()

    @on(Input.Submitted)
    def _asked(self, event: Input.Submitted) -> None:
        event.stop()
        if not event.value:
            self.action_unfind()
            return
        self._begin(self._log.search(event.value))
        self.remove_class("-searching")
        self.lines.focus()

    def _begin(self, search: LogSearch) -> None:
        self._search = self.lines.search = search
        self.lines.current = None
        self._generation = self._log.generation
        self._advance(search)

    def _go_on_searching(self, search: LogSearch) -> None:
        """A log that grew is searched further, one that began anew is searched anew."""
        if self._generation != self._log.generation:
            self._begin(self._log.search(search.query))
        elif not self._busy and not search.full and search.behind(self._log):
            self._advance(search)
        elif self._busy:
            self._tell()

    def _advance(self, search: LogSearch) -> None:
        self._busy = True
        self._run_search(search)

    @work(thread=True, exclusive=True, group="log-search", exit_on_error=False)
    def _run_search(self, search: LogSearch) -> None:
        worker = get_current_worker()
        search.advance(lambda: worker.is_cancelled)
        if not worker.is_cancelled:
            self.post_message(self.Searched(search))

    @on(Searched)
    def _searched(self, event: Searched) -> None:
        event.stop()
        if event.search is not self._search:
            return
        self._busy = False
        if self.lines.current is None and (line := event.search.before(self.lines.bottom + 1)) is not None:
            self.lines.reveal(line)
        self.lines.refresh()
        self._tell()

    def action_match(self, step: int) -> None:
        """Go to the next or the previous match."""
        search, lines = self._search, self.lines
        if search is None:
            return
        here = lines.current if lines.current is not None else lines.bottom
        line = search.after(here) if step > 0 else search.before(here)
        if line is not None:
            lines.reveal(line)
