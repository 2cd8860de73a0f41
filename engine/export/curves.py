"""The curves of a model card: loss, margin and accuracy over the steps. matplotlib is imported when they are drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PANELS = (("loss", "loss"), ("rewards/margins", "reward margin"), ("rewards/accuracies", "accuracy"))


def draw_curves(path: Path, steps: Sequence[Mapping[str, Any]], evals: Sequence[Mapping[str, Any]]) -> None:
    """Loss, margin and accuracy over the steps, held-out values as dots, as a small PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 2.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, label) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        axes.plot(*_points(steps, name), color="#3b6ea5", linewidth=1.2, label="training")
        x, y = _points(evals, name)
        if x:
            axes.plot(x, y, "o", color="#d0743c", markersize=4, label="held out")
            axes.legend(frameon=False, fontsize=7)
        axes.set_title(label, fontsize=9)
        axes.set_xlabel("step", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Software": None})


def _points(events: Sequence[Mapping[str, Any]], name: str) -> tuple[list[float], list[float]]:
    pairs = [(e["step"], e[name]) for e in events if is_number(e.get(name)) and is_number(e.get("step"))]
    return [float(x) for x, _ in pairs], [float(y) for _, y in pairs]


def is_number(value: object) -> bool:
    """Whether an event's value can be drawn or printed as one."""
    return isinstance(value, int | float)
