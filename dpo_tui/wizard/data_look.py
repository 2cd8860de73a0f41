"""A look at the data: the report of the helper process, a pair as the model sees it, warnings and their remedies."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click, MouseDown
from textual.message import Message
from textual.widgets import Button, Static

from dpo_tui.preview import PreviewClient, PreviewError, Superseded
from dpo_tui.text import t
from dpo_tui.widgets.pair_view import PairView
from dpo_tui.wizard.previewed import is_shown, refusal
from dpo_tui.wizard.report_text import Report, counts_text, lengths_text, warned_of, warnings_text

PAUSE = 0.5
"""Seconds without a change before the data is read."""

ROWS = 5_000
"""Rows of each source that are read for a look."""

UNSURE = ("data.format_unknown", "data.format_ambiguous", "data.format_refused", "data.column_missing")
"""Errors that naming the columns mends."""

TEXT_FOR_CHAT = "data.text_for_chat_model"

Asked = Mapping[str, Any]


class Remedy(Button):
    """A button that is pressed as soon as the mouse is down: what is above it may move it away before it is up."""

    def on_mouse_down(self, event: MouseDown) -> None:
        """Press it."""
        event.stop()
        self.press()

    def on_click(self, event: Click) -> None:
        """It is pressed already."""
        event.prevent_default()


class DataLook(Vertical):
    """Shows what became of the rows of the last question; an answer to an older one is nothing to it.

    Warnings come before lengths and pairs, which fill a page: what is wrong with the data is seen without scrolling.
    """

    DEFAULT_CSS = """
    DataLook {
        height: auto; margin-top: 1;
        #report { height: auto; }
        #warnings, #lengths { height: auto; margin-top: 1; display: none; }
        &.-warned #warnings, &.-measured #lengths { display: block; }
        Button { display: none; margin-top: 1; }
        &.-unsure #map, &.-text #as-chat { display: block; }
    }
    """

    @dataclass
    class Read(Message):
        """What became of the rows, or why nothing did."""

        asked: Asked
        report: Report | None = None
        error: PreviewError | None = None

    @dataclass
    class Reading(Message):
        """How far the reading is."""

        asked: Asked
        done: int
        total: int | None

    @dataclass
    class Pair(Message):
        """A pair that was asked for."""

        report: Report
        index: int
        pair: Mapping[str, str]

    def __init__(self) -> None:
        super().__init__()
        self.asked: Asked | None = None
        self.report: Report | None = None
        self.error: PreviewError | None = None
        self._places = False
        self._client: PreviewClient | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="report")
        yield Remedy(t("data_step.map"), id="map", compact=True)
        yield Static(id="warnings")
        yield Remedy(t("data_step.as_chat"), id="as-chat", compact=True)
        yield Static(id="lengths")
        yield PairView()

    @property
    def warned(self) -> bool:
        """Whether there is something to know before training on the data."""
        return self.report is not None and bool(self.report.get("warnings"))

    def ask(self, asked: Asked, client: PreviewClient) -> None:
        """Have the rows read, unless they are what was read last; a hub that was away is tried again."""
        away = self.error is not None and self.error.code.startswith("hub.")
        if asked != self.asked or away:
            self._begin(asked, t("data_step.starting"))
            self._client = client
            self._read(asked, client)

    def cannot(self, asked: Asked, why: str) -> None:
        """The question is none that can be asked."""
        if asked != self.asked:
            self.workers.cancel_group(self, "data")
            self._begin(asked, why)

    def toggle_places(self) -> None:
        """Show, or no longer, which rows are meant."""
        self._places = not self._places
        self._draw()

    def _begin(self, asked: Asked, said: str) -> None:
        self.asked, self.report, self.error = asked, None, None
        self._draw()
        self._say(Content.styled(said, "dim"))

    @work(exclusive=True, group="data", exit_on_error=False)
    async def _read(self, asked: Asked, client: PreviewClient) -> None:
        def progress(done: int, total: int | None) -> None:
            self.post_message(self.Reading(asked, done, total))

        await asyncio.sleep(PAUSE)
        if not is_shown(self):
            self.asked = None
            return
        try:
            report = await client.ask("data", progress, config=dict(asked), rows=ROWS)
            self.post_message(self.Read(asked, report))
        except PreviewError as error:
            self.post_message(self.Read(asked, error=error))
        except Superseded:
            pass

    @on(Reading)
    def _progressed(self, event: Reading) -> None:
        event.stop()
        if event.asked == self.asked and self.report is None and self.error is None:
            name = "reading" if event.total is None else "encoding"
            numbers = {"done": f"{event.done:,}", "total": f"{event.total or 0:,}"}
            self._say(Content.styled(t(f"data_step.{name}", **numbers), "dim"))

    @on(Read)
    def _was_read(self, event: Read) -> None:
        if event.asked != self.asked:
            event.stop()
            return
        self.report, self.error = event.report, event.error
        self._draw()

    @on(PairView.Wanted)
    def _browse(self, event: PairView.Wanted) -> None:
        event.stop()
        if self.report is not None and self._client is not None:
            self._fetch(self.report, event.index, self._client)

    @work(exclusive=True, group="pair", exit_on_error=False)
    async def _fetch(self, report: Report, index: int, client: PreviewClient) -> None:
        ready = next((pair for pair in report.get("pairs", ()) if pair.get("index") == index), None)
        try:
            pair = ready or await client.ask("pair", index=index)
        except PreviewError as error:
            pair = {"prompt": error.text}
        except Superseded:
            return
        self.post_message(self.Pair(report, index, pair))

    @on(Pair)
    def _fetched(self, event: Pair) -> None:
        event.stop()
        view = self.query_one(PairView)
        if event.report is self.report and event.index == view.index:
            view.show(event.index, int(self.report["count"]), event.pair)

    def _draw(self) -> None:
        """All that follows from the report, or from the error."""
        report, error = self.report, self.error
        self.set_class(error is not None and error.code in UNSURE, "-unsure")
        self.set_class(self.warned, "-warned")
        self.set_class(report is not None and bool(report.get("lengths")), "-measured")
        self.set_class(report is not None and warned_of(report, TEXT_FOR_CHAT), "-text")
        if error is not None:
            self._say(refusal(error))
        if report is not None:
            self._say(counts_text(report, places=self._places))
            self.query_one("#lengths", Static).update(lengths_text(report))
            self.query_one("#warnings", Static).update(warnings_text(report))
        self._draw_pair(report)

    def _draw_pair(self, report: Report | None) -> None:
        view, pairs = self.query_one(PairView), report.get("pairs") if report is not None else None
        if report is None or not pairs:
            view.hide()
        elif not view.display:
            view.show(int(pairs[0].get("index", 0)), int(report["count"]), pairs[0])

    def _say(self, text: Content) -> None:
        self.query_one("#report", Static).update(text)
