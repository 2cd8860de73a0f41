"""One run as one line of a table: which columns fit, and what stands in them."""

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content

from dpo_tui import clock
from dpo_tui.doing import doing
from dpo_tui.metrics.numbers import ago, duration, short
from dpo_tui.run_list import RunRow
from dpo_tui.text import t
from dpo_tui.text.explain import explain
from dpo_tui.widgets.columns import GAP, Column, cell, fitting
from dpo_tui.widgets.plain import plain_line
from dpo_tui.widgets.spark import spark
from dpo_tui.widgets.state import state_text

CURSOR, MARK = "▸", "◆"
PREFIX = 3
"""Cells before the first column: where the cursor is, whether the run is marked."""

_CURVE, _WIDE_CURVE = 10, 24
_TRENDS = {-1: "▼", 0: " ", 1: "▲"}
_SPANNED = ("margin", "accuracy", "where")
"""Columns that a reason takes the place of, where at least two of them are there."""

_STATES = ("queued", "starting", "running", "stopping", "done", "failed", "stopped", "broken")


def columns(rows: Sequence[RunRow], width: int) -> list[Column]:
    """The columns of a table of these rows that is `width` cells wide."""
    states = max(state_text(state).cell_length for state in (*_STATES, *map(_doing, rows)))
    steps = max((cell_len(_steps(row)) for row in rows), default=0)
    ages = max((age(row).cell_length for row in rows), default=0)
    return fitting(
        [
            Column("state", states),
            Column("name", 20, grow=40 if width >= 160 else 32),
            Column("curve", _WIDE_CURVE if width >= 160 else _CURVE, least=100),
            Column("step", max(steps, cell_len(t("home.column.step"))), right=True),
            Column("margin", 8, right=True),
            Column("accuracy", max(5, cell_len(t("home.column.accuracy"))), right=True, least=100),
            Column("where", 12, least=100, grow=80),
            Column("age", max(ages, 8), right=True),
        ],
        width - PREFIX - 1,
    )


def header(shown: Sequence[Column]) -> Content:
    """The columns' names."""
    cells = [
        cell(Content.styled(t(f"home.column.{column.name}"), "dim"), column.width, right=column.right)
        for column in shown
    ]
    return Content.assemble(" " * PREFIX, Content(" " * GAP).join(cells))


def line(row: RunRow, shown: Sequence[Column], *, cursor: bool, marked: bool) -> Content:
    """A run in these columns."""
    names = [column.name for column in shown]
    reason = _reason(row)
    span = [name for name in _SPANNED if name in names] if reason else []
    cells = []
    for column in shown:
        if len(span) > 1 and column.name in span:
            if column.name == span[0]:
                width = sum(other.width + GAP for other in shown if other.name in span) - GAP
                cells.append(cell(plain_line(reason, "dim"), width))
            continue
        cells.append(cell(_cell(row, column), column.width, right=column.right))
    prefix = f"{CURSOR if cursor else ' '}{MARK if marked else ' '} "
    return Content.assemble((prefix, "$accent"), Content(" " * GAP).join(cells))


def _cell(row: RunRow, column: Column) -> Content:
    match column.name:
        case "state":
            return state_text(_doing(row))
        case "name":
            return plain_line(row.name)
        case "curve":
            return _curve(row, column.width)
        case "step":
            return Content.styled(_steps(row), "dim")
        case "margin":
            return _margin(row)
        case "accuracy":
            return Content("" if row.accuracy is None else f"{row.accuracy:.2f}")
        case "where":
            return plain_line(where(row), "dim")
        case _:
            return age(row)


def _doing(row: RunRow) -> str:
    """The state; of a run that trains no more what it does instead."""
    return doing(row.state, row.curve.phase, trained=row.total is not None and row.step >= row.total)


def _curve(row: RunRow, width: int) -> Content:
    """The margin's curve, else the loss's, as long as the run has come."""
    share = min(1.0, row.step / row.total) if row.total else 1.0
    margins = row.curve.margins()
    values, hue = (margins, "$metric-margin") if margins else (row.curve.losses(), "$metric-loss")
    return Content.styled(spark(values, max(1, round(width * share))), hue)


def _steps(row: RunRow) -> str:
    return f"{row.step}/{row.total}" if row.total is not None else str(row.step or "")


def _margin(row: RunRow) -> Content:
    if row.margin is None:
        return Content("")
    trend = row.curve.trend() if row.live else 0
    return Content.assemble(short(row.margin).replace("-", "−"), (f" {_TRENDS[trend]}", "$metric-margin"))


def age(row: RunRow) -> Content:
    """The time left of a run that trains; how long ago another was heard of."""
    if row.live:
        seconds = row.curve.seconds_left(row.total)
        return Content(
            "" if seconds is None or _doing(row) != "running" else t("home.left", duration=duration(seconds))
        )
    return Content.styled(ago(clock.now() - row.heard) if row.heard else "", "dim")


def _reason(row: RunRow) -> str:
    """Why a run failed, in its first line; what is damaged of a broken one."""
    if row.problem is not None:
        return t(f"home.problem.{row.problem}")
    if row.state != "failed" or row.reason is None:
        return ""
    said = explain(row.reason.code, row.reason.text, row.reason.params).strip()
    return said.splitlines()[0] if said else ""


def where(row: RunRow) -> str:
    """The machine or the job."""
    if row.job_id is not None:
        return t("home.where.job", job=row.job_id)
    return row.host or t("home.where.here")
