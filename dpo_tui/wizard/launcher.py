"""The fourth step: what starts the training, where the run lives, and what becomes of the model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from dpo_tui import quantities
from dpo_tui.text import t
from dpo_tui.widgets.field import Field
from dpo_tui.wizard import machine
from dpo_tui.wizard.cluster import Partitions, ScriptView, taken
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.kinds import leaf_keys
from dpo_tui.wizard.machine import Machine
from dpo_tui.wizard.step import Step
from engine.sanitize import one_line

EXPORT = ("export.enabled", "export.checkpoint", "export.to", "export.push", "export.private")


@dataclass(frozen=True, slots=True)
class Launcher:
    """A way to start a training: the tables of the config it reads beside [launch], and what it says of itself."""

    name: str
    tables: tuple[str, ...]
    summary: Callable[[Draft], str]


def _job_in_words(draft: Draft) -> str:
    config = draft.config()
    if config is None:
        return "Slurm"
    job = config.launch.job
    return f"Slurm  {job.nodes} × {config.launch.per_node}" + (f"  {job.partition}" if job.partition else "")


LAUNCHERS: dict[str, Launcher] = {
    "local": Launcher("local", (), lambda _: t("wizard.launcher.local")),
    "slurm": Launcher("slurm", ("launch.slurm",), _job_in_words),
}
"""One entry for each word that launch.launcher allows."""


class LauncherStep(Step):
    """Shows what this machine has; the fields are the schema's, so that a new key appears by itself."""

    step_id = "launcher"
    tables: ClassVar[tuple[str, ...]] = ("launch", "run", "export")

    @dataclass
    class Seen(Message):
        """What the machine has."""

        machine: Machine

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft)
        self.machine: Machine | None = None

    def compose(self) -> ComposeResult:
        yield Static(t("wizard.launcher.machine"), classes="heading", markup=False)
        yield Static(t("wizard.launcher.looking"), id="machine", classes="note", markup=False)
        yield Static(t("wizard.launcher.launch"), classes="heading", markup=False)
        for key in leaf_keys()["launch"]:
            yield Field(key, self.draft)
        for launcher in LAUNCHERS.values():
            with Vertical(classes="of-launcher", name=launcher.name):
                if launcher.name == "slurm":
                    yield Partitions()
                for key in (key for table in launcher.tables for key in leaf_keys().get(table, ())):
                    yield Field(key, self.draft)
                if launcher.name == "slurm":
                    yield ScriptView()
        yield Static(t("wizard.launcher.run"), classes="heading", markup=False)
        for key in ("run.name", "run.dir"):
            yield Field(key, self.draft)
        yield Static(t("wizard.launcher.export"), classes="heading", markup=False)
        for key in EXPORT:
            yield Field(key, self.draft)

    def on_mount(self) -> None:
        """Look at the machine while the first steps are filled in."""
        self.refresh_from_draft()
        self._look()

    def shown(self) -> None:
        """Look again for GPUs that could not be counted."""
        if self.machine is not None and self.machine.unknown:
            self._look()

    def summary(self) -> str:
        """Where it trains."""
        launcher = LAUNCHERS.get(str(self.draft.get("launch.launcher")))
        return launcher.summary(self.draft) if launcher else ""

    def refresh_from_draft(self) -> None:
        """Only the chosen launcher's own fields are there."""
        super().refresh_from_draft()
        launcher = self.draft.get("launch.launcher")
        for box in self.query(".of-launcher"):
            box.display = box.name == launcher
        for field in self.query(Field):
            if field.key == "launch.devices":  # a job counts its devices itself
                field.display = launcher != "slurm"
        if launcher == "slurm":
            self.query_one(Partitions).look()
            self.query_one(ScriptView).show(self.draft)

    @on(Partitions.Taken)
    def _take(self, event: Partitions.Taken) -> None:
        event.stop()
        taken(self.draft, event.partition)
        self.refresh_from_draft()
        self.post_message(self.Changed(self))

    @work(thread=True, exclusive=True, group="machine", exit_on_error=False)
    def _look(self) -> None:
        seen = machine.look()
        if not get_current_worker().is_cancelled:
            self.post_message(self.Seen(seen))

    @on(Seen)
    def _seen(self, event: Seen) -> None:
        self.machine = event.machine
        self.query_one("#machine", Static).update(machine_text(event.machine))


def machine_text(seen: Machine) -> Content:
    """The machine in two or three lines."""
    words = t("wizard.launcher.cpu", cores=seen.cores, memory=quantities.size(seen.memory))
    kinds: dict[tuple[str, int], int] = {}
    for gpu in seen.gpus:
        kinds[gpu.name, gpu.memory] = kinds.get((gpu.name, gpu.memory), 0) + 1
    lines = [
        f"{many} × {one_line(name)}  {quantities.size(memory)}" for (name, memory), many in kinds.items()
    ]
    if seen.unknown:
        lines = [f"⚠ {t('wizard.machine.unknown', why=one_line(seen.unknown))}"]
    return Content("\n".join([*(lines or [t("wizard.launcher.no_gpu")]), words]))
