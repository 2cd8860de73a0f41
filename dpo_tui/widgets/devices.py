"""The devices a run works on, a short piece each: a bar, what is used of what there is."""

import socket
from collections.abc import Iterator

from textual import work
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from dpo_tui.host import Load, look
from dpo_tui.text import t
from dpo_tui.widgets.plain import plain, plain_line
from engine.process import ProcessId
from engine.rundir.status import RunRecord

LOOK_SECONDS = 2.0
_BAR = 8
_GAP = "   "


def bar(share: float, width: int = _BAR) -> str:
    """A bar of `width` cells, filled by a share from 0 to 1."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return "█" * filled + "░" * (width - filled)


def gibibytes(*numbers: int) -> str:
    """Bytes in GiB: `9.1`, `9.1/24`, `68/80`; tenths below ten."""
    values = [number / 2**30 for number in numbers]
    return "/".join(f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" for value in values)


def pieces(load: Load) -> Iterator[Content]:
    """One for each device: GPUs first, they are what one waits for."""
    for gpu in load.gpus:
        busy = "" if gpu.busy is None else f" {gpu.busy:.0%}".replace("%", " %")
        yield _piece(
            f"GPU {gpu.index}", gpu.used / max(1, gpu.total), f"{gibibytes(gpu.used, gpu.total)} GiB{busy}"
        )
    yield _piece("CPU", load.cpu, f"{load.cpu * 100:.0f} %")
    yield _piece("RAM", load.used / max(1, load.total), f"{gibibytes(load.used, load.total)} GiB")
    if load.run is not None:
        yield Content.assemble((t("devices.run"), "dim"), f" {gibibytes(load.run)} GiB")


def _piece(name: str, share: float, tells: str) -> Content:
    return Content.assemble((f"{name} ", "dim"), (bar(share), "$accent"), f" {tells}")


def in_rows(parts: list[Content], width: int, gap: str = _GAP) -> Content:
    """The pieces side by side in as many lines as they need."""
    rows: list[list[Content]] = [[]]
    for part in parts:
        if rows[-1] and sum(before.cell_length + len(gap) for before in rows[-1]) + part.cell_length > width:
            rows.append([])
        rows[-1].append(part)
    return Content("\n").join(Content(gap).join(row) for row in rows)


class Devices(Widget):
    """This machine's devices while the run is on it; else which machine or job to look at."""

    DEFAULT_CSS = """
    Devices { height: auto; max-height: 4; padding: 0 2; display: none; }
    Devices.-live { display: block; }
    """

    class Looked(Message):
        """How the machine stands."""

        def __init__(self, load: Load) -> None:
            super().__init__()
            self.load = load

        def can_replace(self, message: Message) -> bool:
            """The newest counts."""
            return isinstance(message, Devices.Looked)

    def __init__(self) -> None:
        super().__init__()
        self._record: RunRecord | None = None
        self._live = False
        self._load: Load | None = None
        self._looking = False

    def show(self, record: RunRecord | None, *, live: bool) -> None:
        """Say whose devices to show. An ended run has none."""
        if (record, live) == (self._record, self._live):
            return
        self._record, self._live = record, live
        self.set_class(live, "-live")
        self._tick()
        self.refresh(layout=True)

    def render(self) -> Content:
        """The devices, or where they are."""
        record = self._record
        if record is not None and record.host != socket.gethostname():
            key = "devices.job" if record.job_id is not None else "devices.elsewhere"
            return plain_line(t(key, host=record.host, job=record.job_id), "dim")
        if self._load is None:
            return plain(t("devices.looking"), "dim")
        parts = list(pieces(self._load))
        if not self._load.gpus:
            parts.append(plain(t("devices.no_gpu"), "dim"))
        return in_rows(parts, self.container_size.width - 4)

    def on_mount(self) -> None:
        """Look now and then."""
        self.set_interval(LOOK_SECONDS, self._tick)

    def _tick(self) -> None:
        here = self._record is not None and self._record.host == socket.gethostname()
        if here and self._live and not self._looking and self.is_attached and self.screen.is_active:
            assert self._record is not None
            self._looking = True
            self._look(self._record.supervisor)

    @work(thread=True, group="devices", exit_on_error=False)
    def _look(self, supervisor: ProcessId) -> None:
        try:
            self.post_message(self.Looked(look(supervisor)))
        finally:
            self._looking = False

    def on_devices_looked(self, event: "Devices.Looked") -> None:
        """Draw it."""
        event.stop()
        before, self._load = self._load, event.load
        self.refresh(layout=before is None or len(before.gpus) != len(event.load.gpus))
