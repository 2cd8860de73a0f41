"""Choosing a repo of the hub: what is on this disk at once, what the hub has while one types."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from dpo_tui import quantities
from dpo_tui.hub.cache import Kind, cached
from dpo_tui.hub.choices import Choice, choices
from dpo_tui.hub.search import HubAway, Repo, search
from dpo_tui.keys import key
from dpo_tui.screens.base import DpoModal
from dpo_tui.text import t
from dpo_tui.widgets.columns import cell
from dpo_tui.widgets.plain_input import PlainInput
from engine.sanitize import one_line

PAUSE = 0.2
"""Seconds without a key before the hub is asked."""

_TO_BEGIN: dict[Kind, str] = {"model": "", "dataset": "dpo"}
"""What is searched for before anything is typed: the best known models, and datasets of pairs."""

_PARAMETERS, _DOWNLOADS, _ABOUT = 8, 11, 14
"""Columns of the facts beside a name."""


class Picker(DpoModal[str]):
    """A list behind an input. Its result is a repo id."""

    CSS_PATH = "picker.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        key("picker.down", "down", "move(1)"),
        key("picker.up", "up", "move(-1)"),
        key("picker.page_down", "pagedown", "move(8)"),
        key("picker.page_up", "pageup", "move(-8)"),
    ]

    @dataclass
    class Answered(Message):
        """The hub's list for a text; `away` is the code of what went wrong instead."""

        text: str
        repos: Sequence[Repo]
        away: str | None = None

    @dataclass
    class Cached(Message):
        """What is on this disk."""

        ids: Sequence[str]

    def __init__(self, kind: Kind, *, typed: str = "", recent: Sequence[str] = ()) -> None:
        super().__init__()
        self._kind = kind
        self._typed = typed
        self._recent = list(recent)
        self._cached: Sequence[str] = ()
        self._found: Sequence[Repo] = ()
        self._away: str | None = None
        self._waiting = True
        self._choices: list[Choice] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="picker"):
            yield Static(t(f"picker.{self._kind}.title"), id="title")
            yield PlainInput(self._typed, placeholder=t("picker.placeholder"), compact=True)
            yield Static(id="head")
            yield OptionList(compact=True)
            yield Static(id="status")
            yield Static(t("picker.hint"), id="hint")

    def on_mount(self) -> None:
        """Look on the disk and on the hub at once."""
        self.query_one(OptionList).can_focus = False
        self.query_one(Input).focus()
        self._scan()
        self._ask(self._typed, pause=False)
        self._show()

    def on_resize(self) -> None:
        """Columns fill the width there is."""
        self.call_after_refresh(self._show)

    @work(exit_on_error=False)
    async def _scan(self) -> None:
        self.post_message(self.Cached(await asyncio.to_thread(cached, self._kind)))

    @work(exclusive=True, group="search", exit_on_error=False)
    async def _ask(self, text: str, *, pause: bool = True) -> None:
        """Ask the hub once nobody types any more."""
        if pause:
            await asyncio.sleep(PAUSE)
        await asyncio.to_thread(_import_client)
        try:
            answer = self.Answered(text, await search(self._kind, text or _TO_BEGIN[self._kind]))
        except HubAway as away:
            answer = self.Answered(text, (), away.code)
        self.post_message(answer)

    @on(Input.Changed)
    def _typing(self, event: Input.Changed) -> None:
        if event.value != self._typed:
            self._typed = event.value
            self._waiting = True
            self._ask(self._text)
            self._show()

    @on(Answered)
    def _heard(self, event: Answered) -> None:
        if event.text.strip() == self._text:
            self._found, self._away, self._waiting = event.repos, event.away, False
            self._show()

    @on(Cached)
    def _scanned(self, event: Cached) -> None:
        self._cached = event.ids
        self._show()

    @on(Input.Submitted)
    def _choose(self) -> None:
        at = self.query_one(OptionList).highlighted
        if at is not None:
            self.dismiss(self._choices[at].repo.id)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index].repo.id)

    def action_move(self, by: int) -> None:
        """Mark another line, while the input keeps the focus."""
        options = self.query_one(OptionList)
        if self._choices:
            at = 0 if options.highlighted is None else options.highlighted + by
            options.highlighted = min(max(at, 0), len(self._choices) - 1)

    @property
    def _text(self) -> str:
        return self._typed.strip()

    def _show(self) -> None:
        """The list anew; the line that was marked stays so unless it was only the first."""
        options = self.query_one(OptionList)
        at = options.highlighted
        marked = self._choices[at].repo.id if at else None
        self._choices = choices(self._text, self._recent, self._cached, self._found)
        width = max(20, options.scrollable_content_region.width - 2)
        options.set_options(Option(_row(choice, width, self._kind)) for choice in self._choices)
        ids = [choice.repo.id for choice in self._choices]
        if ids:
            options.highlighted = ids.index(marked) if marked in ids else 0
        self.query_one("#head", Static).update(_head(width, self._kind) if ids else "")
        self.query_one("#status", Static).update(self._status())

    def _status(self) -> Content:
        if self._waiting:
            return Content(t("picker.searching"))
        if self._away:
            on_disk = sum(choice.why != "as_typed" for choice in self._choices)
            kind = self._away.removeprefix("hub.")
            return Content.styled(t(f"hub.search.{kind}", count=on_disk), "$warning")
        found = sum(choice.why != "as_typed" for choice in self._choices)
        return Content(t("picker.found", count=found) if found else t("picker.found.none"))


def _import_client() -> None:
    """The hub's client takes a tenth of a second to import: not while somebody types."""
    import huggingface_hub

    _ = huggingface_hub.get_async_session


def _row(choice: Choice, width: int, kind: Kind) -> Content:
    repo = choice.repo
    note = Content.styled(one_line(repo.license or ""), "dim")
    if repo.gated:
        note = Content.styled(t("picker.gated"), "$warning")
    elif choice.why != "found":
        note = Content.styled(t(f"picker.{choice.why}"), "$accent")
    counts = [_counted(repo.parameters), _counted(repo.downloads)]
    return _columns(Content(one_line(repo.id)), counts, note, width, kind)


def _head(width: int, kind: Kind) -> Content:
    words = [Content(t(f"picker.head.{name}")) for name in ("name", "parameters", "downloads", "about")]
    return _columns(words[0], words[1:3], words[3], width, kind)


def _columns(name: Content, counts: list[Content], note: Content, width: int, kind: Kind) -> Content:
    """A line of the list; datasets have no parameters."""
    sized = list(zip(counts, (_PARAMETERS, _DOWNLOADS), strict=True))[kind == "dataset" :]
    numbers = [cell(content, space, right=True) for content, space in sized]
    left = max(12, width - sum(space for _, space in sized) - 2 - _ABOUT)
    return Content.assemble(cell(name, left), *numbers, "  ", cell(note, _ABOUT))


def _counted(number: int | None) -> Content:
    return Content.styled("" if number is None else quantities.count(number), "dim")
