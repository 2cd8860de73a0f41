"""How a run ended: why in words, what came out of it, and which key goes on from here."""

from collections.abc import Iterator, Mapping
from typing import Any

from textual.content import Content
from textual.widgets import Static

from dpo_tui.follow import Follower
from dpo_tui.metrics.history import History
from dpo_tui.metrics.numbers import duration, short
from dpo_tui.text import t
from dpo_tui.text.explain import advice, explain
from dpo_tui.widgets.plain import plain, plain_line
from dpo_tui.widgets.state import glyph, style

_MOST_LINES = 4
"""Lines shown of a reason: a log's end may be a part of it."""
_METRICS = (
    ("loss", "monitor.loss"),
    ("rewards/margins", "monitor.margin"),
    ("rewards/accuracies", "monitor.accuracy"),
)


class RunEnd(Static):
    """Shown once a run has ended."""

    DEFAULT_CSS = "RunEnd { height: auto; max-height: 9; padding: 0 2; display: none; }"

    def __init__(self) -> None:
        super().__init__()
        self._shown: object = None

    def show(self, follower: Follower, keys: Mapping[str, str]) -> None:
        """Tell the end. `keys`: what can be done now, a word by key."""
        status = follower.status
        shown = (status, follower.history.version, tuple(keys.items())) if status.final else None
        if shown == self._shown:
            return
        self._shown = shown
        self.display = status.final
        if status.final:
            lines = [*_why(follower), *_outcome(follower), _next(keys)]
            self.update(Content("\n").join(line for line in lines if line.plain))


def _why(follower: Follower) -> Iterator[Content]:
    """The reason and the advice on it; nothing for a run that simply is done."""
    status = follower.status
    if status.reason is None or status.state == "done":
        return
    reason = status.reason
    said = explain(reason.code, reason.text, reason.params).strip().splitlines()
    first, *others = said or [""]
    sign = (f"{glyph(status.state)} ", style(status.state))
    yield Content.assemble(sign, plain_line(first, style(status.state)))
    yield from (plain_line(line, "dim") for line in others[: _MOST_LINES - 1])
    yield plain(advice(reason.code, reason.params))


def _outcome(follower: Follower) -> Iterator[Content]:
    """What was reached, on the training's pairs and on those held out."""
    history = follower.history
    if follower.status.state == "done":
        took = _took(follower)
        sign = (f"{glyph('done')} ", style("done"))
        steps = (
            t("monitor.done.took", step=history.step, duration=took)
            if took
            else t("monitor.done", step=history.step)
        )
        yield Content.assemble(sign, steps)
    train = {name: value for name, _ in _METRICS if (value := history.last(name)) is not None}
    if train:
        yield _metrics(t("monitor.train"), train)
    if history.evals:
        best = best_eval(history)
        yield _metrics(t("monitor.eval", step=history.evals[-1].step), history.evals[-1].metrics)
        if best != history.evals[-1].step:
            yield Content.styled(t("monitor.best", step=best), "dim")
    if history.export is not None and isinstance(path := history.export.get("path"), str):
        yield Content.assemble((f"{t('monitor.exported')} ", "dim"), plain_line(path))


def best_eval(history: History) -> int:
    """The step with the smallest loss on the held-out pairs; there must be an evaluation."""
    return min(history.evals, key=lambda found: (found.metrics.get("loss", float("inf")), found.step)).step


def _metrics(label: str, values: Mapping[str, float]) -> Content:
    parts: list[Any] = [(f"{label}  ", "dim")]
    for name, key in _METRICS:
        if name in values:
            parts += [(f"{t(key)} ", "dim"), short(values[name]), "   "]
    return Content.assemble(*parts[:-1]) if len(parts) > 1 else Content("")


def _next(keys: Mapping[str, str]) -> Content:
    pieces = [Content.assemble((name, "$accent"), f" {word}") for name, word in keys.items()]
    return Content("   ").join(pieces)


def _took(follower: Follower) -> str:
    """How long the whole run has trained, in how many attempts where there were several."""
    history = follower.history
    if not history.training_seconds:
        return ""
    took = duration(history.training_seconds)
    return t("monitor.attempts", duration=took, count=history.attempt) if history.attempt > 1 else took
