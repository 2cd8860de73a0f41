"""A run's events in sentences: the one wording of them, for the progress without screens and for the log on them.

All of it is unsanitized: what comes from a run may be anything.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from dpo_tui.quantities import gibibytes
from dpo_tui.text import has, t
from dpo_tui.text.explain import explain

METRICS = {"loss": "loss", "rewards/margins": "margin", "rewards/accuracies": "accuracy"}
"""The metrics shown, with the catalogue's name of each."""

STEP_SECONDS = 10.0
"""Between two steps that get a line."""

Event = Mapping[str, Any]


class Sentences:
    """A line for what matters, and now and then one for a step. `moment` tells the time of an event."""

    def __init__(self, moment: Callable[[Event], float]) -> None:
        self._moment = moment
        self._last = float("-inf")
        self._total: int | None = None

    def of(self, event: Event) -> str | None:
        """The event's line; None where it deserves none."""
        if event["type"] == "phase" and event.get("state") == "start":
            self._total = whole(event.get("total")) if event.get("phase") == "train" else self._total
            return phase_word(str(event.get("phase")))
        if event["type"] == "step":
            return self._step(event)
        return lasting_line(event)

    def _step(self, event: Event) -> str | None:
        now = self._moment(event)
        if now - self._last < STEP_SECONDS:
            return None
        self._last = now
        count = count_of(whole(event.get("step")), self._total)
        return t("stream.step", count=count, metrics=metrics(event))


def lasting_line(event: Event) -> str | None:
    """The line that stays of an event, unsanitized; None for an event that leaves none."""
    match event:
        case {"type": "eval"}:
            return t("stream.eval", step=event.get("step"), metrics=metrics(event))
        case {"type": "save"}:
            line = _saved(event)
            return line if event.get("verified") in (True, None) else f"{line}  {t('stream.unverified')}"
        case {"type": "data", "report": {"rows": rows, "train": train, "eval": held_out}}:
            return t("stream.data", rows=rows, train=train, held_out=held_out)
        case {"type": "packs", "packs_per_step": float() as packs, "tokens_per_pack": float() as tokens}:
            sharing = event.get("sharing")
            saved = 1 - 1 / sharing if isinstance(sharing, float) and sharing > 0 else 0.0
            return t("stream.packs", packs=f"{packs:.1f}", tokens=f"{tokens:,.0f}", saved=f"{saved:.0%}")
        case {"type": "memory", "total": int() as total, "room": int() as room, "largest": str(part)}:
            of = whole(event.get(part)) or 0
            shown = {"total": gibibytes(total), "room": gibibytes(room), "of": gibibytes(of)}
            return t("stream.memory", part=part_word(part), **shown)
        case {"type": "gates", "gates": list(gates)}:
            return t("stream.gates", step=event.get("step"), gates="; ".join(map(_gate, gates)))
        case {"type": "export"}:
            proved = isinstance(event.get("proof"), dict)
            return t("stream.export.verified" if proved else "stream.export", path=event.get("path"))
        case {"type": "warning"}:
            return t("stream.warning", text=_explained(event))
        case {"type": "resume"}:
            return t("stream.resume", step=event.get("from_step"), attempt=event.get("attempt"))
        case _:
            return None


def part_word(part: str) -> str:
    """A part of the memory for people; one of another version is called as it calls itself."""
    return t(f"memory.part.{part}") if has(f"memory.part.{part}") else part


def _saved(event: Event) -> str:
    """What was saved, and how long it took where that is known."""
    step, path, seconds = event.get("step"), event.get("path"), event.get("seconds")
    if not isinstance(seconds, int | float):
        return t("stream.save", step=step, path=path)
    return t("stream.save.took", step=step, path=path, seconds=f"{seconds:.1f}")


def last_word(event: Event) -> str:
    """The `end` event: why it ended, unsanitized."""
    return t("stream.end", text=_explained(event))


def _gate(verdict: Any) -> str:
    """One gate in words: its metric, its value, its limit."""
    match verdict:
        case {"gate": str(gate), "limit": float() | int() as limit, "value": value, "passed": passed}:
            found = f"{value:.4g}" if isinstance(value, float | int) else t("stream.gate.unmeasured")
            verdict = t("stream.gate.passed" if passed is True else "stream.gate.missed")
            return t("stream.gate", gate=gate, limit=limit, found=found, verdict=verdict)
        case _:
            return "?"


def metrics(event: Event, wanted: Collection[str] = METRICS) -> str:
    """Loss, margin and accuracy of an event, as far as it has them and they are `wanted`."""
    found = [(t(f"stream.metric.{METRICS[name]}"), event.get(name)) for name in wanted]
    return "  ".join(f"{label} {value:.4g}" for label, value in found if isinstance(value, int | float))


def phase_word(phase: str) -> str:
    """A phase for people; one of another version is called as it calls itself."""
    key = f"stream.phase.{phase}"
    return t(key) if has(key) else phase


def _explained(event: Event) -> str:
    params = event.get("params")
    text, code = str(event.get("text")), str(event.get("code"))
    return explain(code, text, params if isinstance(params, dict) else {})


def count_of(done: int | None, total: int | None) -> str:
    """How much of what."""
    return str(done) if total is None else f"{done}/{total}"


def whole(value: Any) -> int | None:
    """`value` if it is a whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
