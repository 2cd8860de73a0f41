"""Gates: what a run must reach to count as done, judged on the checkpoint that would be exported.

A run that misses one is not exported and not uploaded, and its exit code is that of a failed training. Its
checkpoints stay: `dpo-tui export` writes the model all the same.
"""

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from engine.config.schema import Config, Gates
from engine.exits import GateFailed, UnusableError
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import EventWriter
from engine.rundir.paths import RunDir

EVAL_GATES: Mapping[str, str] = {
    "min_accuracy": "eval_rewards/accuracies",
    "min_margin": "eval_rewards/margins",
    "max_loss": "eval_loss",
}
"""Keys of `[gates]` that look at the held-out pairs, with the metric in a checkpoint's manifest."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One gate: what was asked, what was found (None: not measured), and whether that is enough."""

    gate: str
    metric: str
    limit: float
    value: float | None
    passed: bool


def judge(gates: Gates, metrics: Mapping[str, float]) -> list[Verdict]:
    """A verdict on each gate that is set and looks at the held-out pairs. What was not measured has not passed."""
    verdicts = []
    for gate, metric in EVAL_GATES.items():
        limit, value = getattr(gates, gate), metrics.get(metric)
        if limit is not None:
            enough = value is not None and (value <= limit if gate.startswith("max") else value >= limit)
            verdicts.append(Verdict(gate, metric, limit, value, enough))
    return verdicts


def pass_gates(run: RunDir, config: Config, events: EventWriter) -> None:
    """Judge the run and say so in a `gates` event. Raises GateFailed, naming every gate it misses."""
    index = CheckpointIndex(run.checkpoints_dir)
    step = index.best() if config.export.checkpoint == "best" else index.latest()
    verdicts = judge(config.gates, index.manifest(step).metrics if step is not None else {})
    if not verdicts:
        return
    events.emit("gates", step=step, gates=[asdict(verdict) for verdict in verdicts])
    missed = [verdict for verdict in verdicts if not verdict.passed]
    if missed:
        found = "; ".join(_missed(verdict) for verdict in missed)
        again = shlex.join(["dpo-tui", "export", str(run.root)])
        text = f"gates missed at step {step}: {found}. Nothing is exported; to do it all the same: {again}"
        raise GateFailed(
            "gates.missed",
            text,
            step=step,
            gates=[verdict.gate for verdict in missed],
            missed=[_in_signs(verdict) for verdict in missed],
            command=again,
        )


def _missed(verdict: Verdict) -> str:
    name = verdict.metric.removeprefix("eval_")
    value = "not measured" if verdict.value is None else f"{verdict.value:.4g}"
    side = "above" if verdict.gate.startswith("max") else "below"
    return f"eval {name} is {value}, {side} gates.{verdict.gate} = {verdict.limit:g}"


def _in_signs(verdict: Verdict) -> str:
    """As `_missed`, in no language."""
    value = "-" if verdict.value is None else f"{verdict.value:.4g}"
    sign = ">" if verdict.gate.startswith("max") else "<"
    return f"{verdict.metric.removeprefix('eval_')} {value} {sign} {verdict.gate} {verdict.limit:g}"


def require_few_dropped(gates: Gates, dropped: int, rows: int) -> None:
    """Raise GateFailed when more of the rows are dropped than `max_dropped` allows."""
    share = dropped / max(1, rows)
    if gates.max_dropped is not None and share > gates.max_dropped:
        text = (
            f"{dropped:,} of {rows:,} rows are dropped, {share:.1%}, above gates.max_dropped = "
            f"{gates.max_dropped:g}. The report above names the reasons and the places; `dpo-tui data` shows it again"
        )
        raise GateFailed(
            "gates.dropped", text, dropped=dropped, rows=rows, share=round(share, 4), limit=gates.max_dropped
        )


def require_eval_pairs(gates: Gates, pairs: int) -> None:
    """Raise UnusableError before training when a gate looks at held-out pairs and there are none."""
    wanted = [gate for gate in EVAL_GATES if getattr(gates, gate) is not None]
    if wanted and pairs == 0:
        text = (
            f"gates.{wanted[0]} looks at held-out pairs, and none are held out: too few pairs, or all with the "
            "same prompt. Raise data.eval_fraction, add pairs, or leave the gate out"
        )
        raise UnusableError("gates.no_eval", text, gate=wanted[0])
