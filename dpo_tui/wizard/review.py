"""The last step: what was chosen, whether it can start, and Start."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static
from textual.worker import get_current_worker

from dpo_tui.text import t
from dpo_tui.text.explain import fault_text
from dpo_tui.widgets.memory_bar import MemoryBar
from dpo_tui.widgets.plain import plain
from dpo_tui.wizard import machine
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.machine import Machine
from dpo_tui.wizard.naming import config_path, run_root
from dpo_tui.wizard.preflight import Check, checks, gather
from dpo_tui.wizard.resolved import LINES, Line, resolved
from dpo_tui.wizard.step import Step
from dpo_tui.wizard.verdicts import Said, Verdicts
from engine.config.schema import Config
from engine.forecast import Forecast
from engine.sanitize import one_line
from engine.shape import ModelShape

_MOST_FAULTS = 5


class ReviewStep(Step):
    """Enter on Start starts. While the checks are still looking, Start waits for them."""

    step_id = "review"

    class Start(Message):
        """Everything is in order, and the person wants it."""

    @dataclass
    class Looked(Message):
        """What the checks found, and the memory it will take, for the text that was looked at."""

        text: str
        found: list[Check]
        forecast: Forecast | None = None

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft)
        self.machine: Machine | None = None
        """What the launcher's step saw; looked for here while it has not."""
        self.parameters: int | None = None
        """Of the model, where the model's step knows them."""
        self.shape: ModelShape | None = None
        """Its sizes, likewise."""
        self._found: list[Check] | None = None
        self._forecast: Forecast | None = None
        self._wanted = False
        self._starting = False
        self._refusal = ""
        """Why the last start did not succeed, until something changes."""

    def compose(self) -> ComposeResult:
        yield Resolved(id="resolved")
        yield MemoryBar()
        yield Static(t("wizard.review.checks"), classes="heading", markup=False)
        yield Verdicts()
        yield Static(id="command", markup=False)
        with Horizontal(id="go"):
            yield Button(t("wizard.review.start"), id="start", variant="primary", compact=True)
            yield Static(id="why", markup=False)

    @property
    def looking(self) -> bool:
        """Whether the checks are still at it."""
        return self._found is None and self.draft.config() is not None

    def problems(self) -> list[str]:
        """Its own are the checks; faults belong to the steps that can put them right."""
        return [check.code for check in self._found or () if check.verdict == "bad"]

    @property
    def settled(self) -> bool:
        """Whether it can start: not while another step has a fault, or a check still looks."""
        return self.draft.config() is not None and self._ready

    def hear_of_model(self, parameters: int | None, shape: ModelShape | None) -> None:
        """The model's step may learn of the model only after one has left it."""
        if (parameters, shape) != (self.parameters, self.shape):
            self.parameters, self.shape = parameters, shape
            self.refresh_from_draft()

    def shown(self) -> None:
        """Look again: the machine may have changed as well as the draft."""
        self._look_again()

    def refresh_from_draft(self) -> None:
        """What was found of another text counts no more."""
        if self.is_attached and self.display:
            self._look_again()

    def focus_entry(self) -> None:
        """Start has the focus, so that Enter starts; where it cannot, the first line of what is in the way."""
        start = self.query_one("#start", Button)
        (self.query_one(Verdicts) if start.disabled else start).focus()

    def failed(self, why: str) -> None:
        """The start did not succeed: say why, and look again."""
        self._starting = False
        self._look_again()
        self._refusal = why
        self._show()

    @property
    def fix(self) -> Check | None:
        """The first check that knows how to put itself right."""
        return next((check for check in self._found or () if check.fix), None)

    def apply_fix(self) -> None:
        """Put the first thing right that can be."""
        if (check := self.fix) is None:
            return
        for name, value in check.fix.items():
            self.draft.set(name, value)
        self.post_message(self.Changed(self))
        self._look_again()

    def copy_command(self) -> None:
        """The command line, for another terminal or a CI job."""
        self.app.copy_to_clipboard(self._command())
        self.notify(t("wizard.review.copied"), markup=False)

    @on(Button.Pressed, "#start")
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self._wanted = True
        self._go()

    @on(Looked)
    def _looked(self, event: Looked) -> None:
        if event.text == self.draft.text:
            self._found, self._forecast = event.found, event.forecast
            self._show()
            self._go()
            self.post_message(self.Told())

    def _look_again(self) -> None:
        self._found = None
        self._wanted = False
        self._refusal = ""
        self._show()
        if (config := self.draft.config()) is not None:
            self._look(config, run_root(self.draft), self.draft.text)

    @work(thread=True, exclusive=True, group="preflight", exit_on_error=False)
    def _look(self, config: Config, root: Path, text: str) -> None:
        try:
            seen = self.machine or machine.look()
            facts = gather(config, root, seen, self.parameters, self.shape)
            looked = self.Looked(text, checks(config, facts), facts.forecast)
        except Exception as error:  # whatever it is, it is said, and Start may be tried
            unfinished = Check("unfinished", "warn", {"detail": str(error) or type(error).__name__})
            looked = self.Looked(text, [unfinished])
        if not get_current_worker().is_cancelled:
            self.post_message(looked)

    def _go(self) -> None:
        """Start, if it was asked for and nothing is in the way."""
        if self._wanted and self._ready and not self._starting:
            self._wanted, self._starting = False, True
            job = self.draft.get("launch.launcher") == "slurm"
            self._why(t("wizard.review.sending" if job else "wizard.review.starting"), "dim")
            self.post_message(self.Start())

    @property
    def _ready(self) -> bool:
        return self._found is not None and not any(check.verdict == "bad" for check in self._found)

    def _show(self) -> None:
        config = self.draft.config()
        lines = resolved(config, run_root(self.draft)) if config else []
        self.query_one(Resolved).show(lines)
        self.query_one(MemoryBar).show(self._forecast if config else None)
        verdicts = self.query_one(Verdicts)
        verdicts.show(self._verdicts(config))
        self.query_one("#command", Static).update(Content.styled(f"$ {one_line(self._command())}", "dim"))
        start = self.query_one("#start", Button)
        start.disabled = config is None or (self._found is not None and not self._ready)
        idle = self.screen.focused in (None, start, verdicts)
        if self.display and idle and self.screen.focused is not (verdicts if start.disabled else start):
            self.focus_entry()
        not_yet = t("wizard.review.not_yet_at" if verdicts.leads else "wizard.review.not_yet")
        self._why(self._refusal or (not_yet if start.disabled else ""), "$error")
        self.screen.refresh_bindings()

    def _verdicts(self, config: Config | None) -> list[Said]:
        if config is None:
            return faults_said(self.draft)
        if self._found is None:
            return [Said("wait", t("wizard.review.looking"))]
        found = [Check("config", "ok"), *self._found]
        return [Said(check.verdict, check_text(check), check.fix, check.at) for check in found]

    def _command(self) -> str:
        place = self.draft.runs_dir
        elsewhere = [] if place is None else ["--runs", str(place)]
        return shlex.join(["dpo-tui", "--headless", str(config_path(self.draft)), *elsewhere])

    def _why(self, text: str, style: str) -> None:
        self.query_one("#why", Static).update(plain(text, style))


def check_text(check: Check) -> str:
    """A check's sentence."""
    return t(f"wizard.check.{check.code}.{check.verdict}", **check.params)


def faults_said(draft: Draft) -> list[Said]:
    """The first faults of the config, each with the way to its field."""
    faults = list(draft.faults().items())
    said = [Said("bad", f"{key or 'TOML'}: {fault_text(fault)}", at=key) for key, fault in faults]
    more = Said("bad", t("wizard.review.more_faults", count=len(faults) - _MOST_FAULTS))
    return said if len(faults) <= _MOST_FAULTS else [*said[:_MOST_FAULTS], more]


class Resolved(Vertical):
    """What was chosen: a label and a text on each line, which wraps under itself."""

    DEFAULT_CSS = """
    Resolved { height: auto; }
    Resolved .line { height: auto; }
    Resolved .label { width: 20; color: $text-muted; }
    Resolved .text { width: 1fr; height: auto; }
    """

    def compose(self) -> ComposeResult:
        for _ in range(LINES):
            with Horizontal(classes="line"):
                yield Static(classes="label", markup=False)
                yield Static(classes="text", markup=False)

    def show(self, lines: list[Line]) -> None:
        """Nothing for a config that comes to nothing."""
        self.display = bool(lines)
        for row, (label, text) in zip(self.query(".line"), lines, strict=False):
            row.query_one(".label", Static).update(label)
            row.query_one(".text", Static).update(text)
