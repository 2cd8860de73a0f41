"""What came out of a sweep: a line for each run, the most accurate first."""

from typing import Any

from rich.cells import cell_len, set_cell_size

from dpo_tui.metrics.numbers import short
from dpo_tui.runs import state_word
from dpo_tui.text import t
from engine.rundir.files import number, read_json
from engine.rundir.paths import RunDir

METRICS = ("rewards/accuracies", "rewards/margins", "loss")
"""What runs with different betas can be compared by comes first: their losses cannot."""


def result_of(run: RunDir, values: dict[str, Any], state: str) -> dict[str, Any]:
    """A run's state and its metrics at the end: on the held-out pairs where there are any, else in training."""
    summary = read_json(run.summary_json) or {}
    measured = summary.get("eval")
    last = measured.get("final") if isinstance(measured, dict) else None
    last = last if isinstance(last, dict) else summary.get("train")
    last = last if isinstance(last, dict) else {}
    metrics = {name: number(last.get(name)) for name in METRICS}
    return {"name": run.name, "state": state, "values": values, **metrics}


def table(results: list[dict[str, Any]]) -> list[str]:
    """The lines of the table, the best run first; those without a result last."""
    keys = list(results[0]["values"])
    head = [t("command.sweep.run"), *keys, t("command.sweep.state_head"), *METRICS]
    rows = [head, *(_row(result, keys) for result in sorted(results, key=_rank))]
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(head))]
    return ["  ".join(map(set_cell_size, row, widths)).rstrip() for row in rows]


def _rank(result: dict[str, Any]) -> tuple[bool, float, float]:
    accuracy, margin = result[METRICS[0]], result[METRICS[1]]
    return accuracy is None, -(accuracy or 0.0), -(margin or 0.0)


def _row(result: dict[str, Any], keys: list[str]) -> list[str]:
    metrics = [short(result[name]) for name in METRICS]
    return [
        result["name"],
        *(str(result["values"][key]) for key in keys),
        state_word(result["state"]),
        *metrics,
    ]
