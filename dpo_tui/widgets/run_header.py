"""The first line of a run: which it is, how it stands, how far it is, where it runs and how fast."""

import socket
from collections.abc import Iterator

from textual.content import Content
from textual.widget import Widget

from dpo_tui import clock
from dpo_tui.doing import doing
from dpo_tui.follow import Follower
from dpo_tui.metrics.numbers import ago, duration, short
from dpo_tui.text import t
from dpo_tui.widgets.fitted_line import fitted
from dpo_tui.widgets.plain import plain_line
from dpo_tui.widgets.state import state_text
from engine.rundir.status import RunRecord

_GREY = "dim"


class RunHeader(Widget):
    """Draws what `show` is given."""

    DEFAULT_CSS = "RunHeader { height: 1; padding: 0 2; }"

    def __init__(self, devices: int = 1) -> None:
        super().__init__()
        self._devices = devices
        self._follower: Follower | None = None

    def show(self, follower: Follower, devices: int) -> None:
        """Draw how a run stands now."""
        self._follower, self._devices = follower, devices
        self.refresh()

    def render(self) -> Content:
        """As much as fits."""
        if self._follower is None:
            return Content("")
        return fitted(
            list(standing(self._follower)), list(working(self._follower, self._devices)), self.size.width
        )


def standing(follower: Follower) -> Iterator[Content]:
    """Name, state, step, time left or past, epoch: the most wanted first."""
    history, status = follower.history, follower.status
    yield plain_line(follower.run.name, "bold")
    does = doing(status.state, history.current_phase, trained=history.trained)
    yield state_text(does)
    step, total = max(history.step, status.step), history.total or status.total
    if step or total:
        count = f"{step}/{total}" if total is not None else str(step)
        yield Content.assemble((f"{t('monitor.step')} ", _GREY), count)
    if status.final:
        if status.heartbeat:
            yield Content.styled(ago(clock.now() - status.heartbeat), _GREY)
    elif does == "running" and (left := seconds_left(follower)) is not None:
        yield Content(t("monitor.left", duration=duration(left)))
    if history.epoch is not None:
        yield Content.assemble((f"{t('monitor.epoch')} ", _GREY), f"{history.epoch:.2f}")


def seconds_left(follower: Follower) -> float | None:
    """Seconds of training left now, counted down between two events while the phase is the training."""
    history = follower.history
    left = history.eta_seconds()
    phase = history.current_phase
    if left is None or phase is None:
        return None
    waited = (
        clock.now() - history.last_time if history.last_time is not None and phase.name == "train" else 0.0
    )
    return max(0.0, left - max(0.0, waited))


def working(follower: Follower, devices: int) -> Iterator[Content]:
    """Where it runs, and its speed while it does: the most wanted last."""
    yield plain_line(where(follower.record, devices), _GREY)
    for name, unit in (("tokens_per_second", "monitor.tokens"), ("pairs_per_second", "monitor.pairs")):
        if not follower.status.final and (speed := follower.history.last(name)) is not None:
            yield Content.assemble(short(speed), (f" {t(unit)}", _GREY))


def where(record: RunRecord | None, devices: int) -> str:
    """The machine or the cluster's job, with the number of devices where there are several."""
    if record is None or (record.host == socket.gethostname() and record.job_id is None):
        place = t("monitor.here")
    else:
        place = t("monitor.job", job=record.job_id) if record.job_id is not None else record.host
    return f"{place} × {devices}" if devices > 1 else place
