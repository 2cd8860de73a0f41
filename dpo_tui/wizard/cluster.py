"""The cluster's side of the launcher's step: its partitions to choose from, and the script as it would be sent."""

from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option
from textual.worker import get_current_worker

from dpo_tui import quantities
from dpo_tui.text import t
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.naming import run_root
from engine.exits import EngineError
from engine.launch.slurm import cluster
from engine.launch.slurm.cluster import Partition
from engine.launch.slurm.script import job_script
from engine.rundir.paths import RunDir
from engine.sanitize import one_line

MIB = 1 << 20


class Partitions(Vertical):
    """The partitions that sinfo lists; Enter on one takes it, with the GPUs its nodes have."""

    DEFAULT_CSS = """
    Partitions { height: auto; }
    Partitions OptionList { height: auto; max-height: 8; border: none; padding: 0; background: $surface; }
    Partitions .note { height: auto; color: $text-muted; }
    """

    @dataclass
    class Found(Message):
        """What sinfo said, or why it did not."""

        partitions: list[Partition]
        problem: str = ""

    @dataclass
    class Taken(Message):
        """The person wants this one."""

        partition: Partition

    def __init__(self) -> None:
        super().__init__(id="cluster")
        self._found: list[Partition] | None = None

    def compose(self) -> ComposeResult:
        yield Static(t("wizard.cluster.heading"), classes="heading", markup=False)
        yield Static(t("wizard.cluster.looking"), classes="note", markup=False)
        yield OptionList(compact=True)

    def on_mount(self) -> None:
        """An empty list takes no focus."""
        self.query_one(OptionList).display = False

    def look(self) -> None:
        """Ask once; what was found stays."""
        if self._found is None:
            self._ask()

    @work(thread=True, exclusive=True, group="cluster", exit_on_error=False)
    def _ask(self) -> None:
        try:
            found = self.Found(cluster.partitions())
        except OSError as error:
            found = self.Found([], str(error))
        if not get_current_worker().is_cancelled:
            self.post_message(found)

    @on(Found)
    def _show(self, event: Found) -> None:
        event.stop()
        self._found = event.partitions or None  # a cluster that did not answer is asked again
        note = self.query_one(".note", Static)
        note.display = not event.partitions
        note.update(f"⚠ {t('wizard.cluster.unknown', why=one_line(event.problem))}")
        options = self.query_one(OptionList)
        options.display = bool(event.partitions)
        options.clear_options()
        width = max((cell_len(one_line(partition.name)) for partition in event.partitions), default=0)
        options.add_options([Option(partition_line(partition, width)) for partition in event.partitions])
        options.highlighted = 0 if event.partitions else None

    @on(OptionList.OptionSelected)
    def _taken(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if self._found is not None:
            self.post_message(self.Taken(self._found[event.option_index]))


class ScriptView(Vertical):
    """The job script as it would be sent, anew with every change."""

    DEFAULT_CSS = """
    ScriptView { height: auto; }
    ScriptView #script { height: auto; color: $text-muted; padding-left: 1; border-left: solid $foreground 12%; }
    """

    def compose(self) -> ComposeResult:
        yield Static(t("wizard.cluster.script"), classes="heading", markup=False)
        yield Static(id="script", markup=False)

    def show(self, draft: Draft) -> None:
        """Of a config with a fault there is no script."""
        self.query_one("#script", Static).update(Content(script_of(draft)))


def script_of(draft: Draft) -> str:
    """What the draft's job would be sent with, or that it has none yet."""
    config = draft.config()
    if config is None:
        return t("wizard.cluster.no_script")
    run = RunDir(run_root(draft))
    try:
        script = job_script(config, [run], run.job_script)
    except EngineError as error:
        return error.text
    return "\n".join(map(one_line, script.splitlines()))


def partition_line(partition: Partition, width: int = 0) -> Content:
    """A partition in a line: its name, `width` cells wide, its nodes, what each has, how long a job may be."""
    kind = f" {partition.gpu_type}" if partition.gpu_type else ""
    gpus = t("wizard.cluster.gpus", count=partition.gpus, kind=kind) if partition.gpus else ""
    words = [
        t("wizard.cluster.nodes", count=partition.nodes),
        gpus,
        t("wizard.cluster.cores", count=partition.cores),
        quantities.size(partition.memory * MIB) if partition.memory else "",
        "" if partition.time == "infinite" else t("wizard.cluster.time", time=partition.time),
        "" if partition.up else t("wizard.cluster.down"),
    ]
    name = set_cell_size(one_line(partition.name), max(width, cell_len(one_line(partition.name))))
    mark = "*" if partition.default else " "
    line = f"{name} {mark}  {'  ·  '.join(one_line(word) for word in words if word)}"
    return Content.styled(line, "" if partition.up else "dim")


def taken(draft: Draft, partition: Partition) -> None:
    """Let the draft ask for the partition, for its type of GPU, and for all of a node's unless it asks for some."""
    draft.set("launch.slurm.partition", partition.name)
    if not partition.gpus:
        draft.unset("launch.slurm.gpu_type")
        draft.unset("launch.slurm.gpus_per_node")
        return
    if partition.gpu_type:
        draft.set("launch.slurm.gpu_type", partition.gpu_type)
    else:
        draft.unset("launch.slurm.gpu_type")
    asked = draft.get("launch.slurm.gpus_per_node")
    if not isinstance(asked, int) or not 0 < asked <= partition.gpus:
        draft.set("launch.slurm.gpus_per_node", partition.gpus)
