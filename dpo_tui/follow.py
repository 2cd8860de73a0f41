"""Following a run from outside: its events and its status, a little at a time, so that a screen stays quick.

It reads files and nothing else, so a run of this machine, of another one, of a cluster, and one that ended years
ago are followed alike.
"""

from dataclasses import dataclass
from time import monotonic, perf_counter

from dpo_tui.metrics.history import History
from dpo_tui.run_story import RunStory
from dpo_tui.runs import effective_state, reason_text
from dpo_tui.text import t
from engine.rundir.paths import RunDir
from engine.rundir.status import RunRecord, Status, read_record
from engine.rundir.tail import Tail

BUDGET = 0.01
"""Seconds that one poll may take: below it nobody feels a key answered late."""
STATUS_SECONDS = 1.0
"""The status is looked at as often as its supervisor writes it."""
QUEUE_SECONDS = 0.1
"""A queue that does not answer at once is heard at a later look."""
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Changes:
    """What a poll brought. `behind`: more events are there already, so poll again at once."""

    events: bool = False
    status: bool = False
    behind: bool = False

    def __bool__(self) -> bool:
        return self.events or self.status


class Follower:
    """What is known of a run now: its `history`, `status` and `record`. Call `poll` again and again.

    A `story` is told what happens, for a log.
    """

    def __init__(self, run: RunDir, story: RunStory | None = None) -> None:
        self.run = run
        self.history = History()
        self._story = story
        self.status = Status(state="queued")
        self.record: RunRecord | None = None
        """The supervisor of the newest attempt; None before there was one."""
        self.caught_up = False
        """Whether all events were read at least once."""
        self._tail = Tail(run.events)
        self._restarts = 0
        self._status_due = 0.0
        self._told = ""

    def poll(self, budget: float = BUDGET) -> Changes:
        """Read what is new for about `budget` seconds."""
        status = self._poll_status()
        version = self.history.version
        behind = self._poll_events(perf_counter() + budget)
        self.caught_up = self.caught_up or not behind
        if self._story is not None and self.caught_up:
            self._tell(self._story)
        events = self.history.version != version
        if events and self.status.final:
            self.look_again()  # somebody has resumed it, or its last word is written by now
        return Changes(events=events, status=status, behind=behind)

    def _tell(self, story: RunStory) -> None:
        """What no event tells: that a stop was asked for, and the end of a run that was killed."""
        status, told = self.status, self._told
        self._told = status.state
        if status.state != told and status.state == "stopping":
            story.note(t("stream.stopping"), status.heartbeat)
        elif status.state != told and status.final and self.history.end is None:
            story.note(t("stream.end", text=reason_text(status)), status.heartbeat)
        story.complete = True

    def look_again(self) -> None:
        """Let the next poll look at the status, however short ago the last one did."""
        self._status_due = 0.0

    def _poll_status(self) -> bool:
        if monotonic() < self._status_due:
            return False
        self._status_due = monotonic() + STATUS_SECONDS
        before = (self.status, self.record)
        self.status, self.record = effective_state(self.run, QUEUE_SECONDS), read_record(self.run.run_json)
        return (self.status, self.record) != before

    def _poll_events(self, deadline: float) -> bool:
        """Take in events until none are left or time is up; returns whether some may be left."""
        while batch := self._tail.read(_READ_BYTES):
            self._notice_restart()
            self.history.take(batch)
            if self._story is not None:
                self._story.take(batch)
            if perf_counter() >= deadline:
                return True
        self._notice_restart()
        return False

    def _notice_restart(self) -> None:
        if self._tail.restarts != self._restarts:
            self._restarts = self._tail.restarts
            self.history.reset()
            if self._story is not None:
                self._story.reset()
