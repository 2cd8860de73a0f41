"""How a followed run ended, and what is said about it: the reason, where things are, and the next command."""

import shlex
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dpo_tui.display import talk
from dpo_tui.runs import effective_state, read_final, reason_text, resume_command, standing
from dpo_tui.sentences import metrics
from dpo_tui.text import t
from engine.exits import Exit
from engine.launch.verdict import exit_of, log_end
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.files import read_json
from engine.rundir.paths import RunDir
from engine.rundir.status import State, read_record


@dataclass(frozen=True, slots=True)
class Ending:
    """A run's end: its exit code, its state, and the reason in words, empty where there is none to give."""

    code: Exit
    state: State
    text: str


def ending_of(run: RunDir, process: subprocess.Popen[bytes] | None) -> Ending:
    """How the run ended. `process` is the supervisor that was started and has ended, if there was one.

    The status counts if that supervisor wrote it; else its own exit code does, and a death without either is a
    failed training.
    """
    record = read_record(run.run_json)
    ours = process is None or (record is not None and record.pid == process.pid)
    status = (read_final(run) if process is not None else effective_state(run)) if ours else None
    if status is not None and status.final:
        code = exit_of(Exit.TRAINING_FAILED if status.exit_code is None else status.exit_code)
        return Ending(code, status.state, reason_text(status))
    returned = process.returncode if process is not None else None
    log = log_end(run.train_log, 0)
    if returned is not None and returned > 0:
        return Ending(exit_of(returned), "failed", log)
    how = t("command.no_word.gone")
    if returned:
        how = t("command.no_word.killed", name=signal.Signals(-returned).name)
    text = t("command.no_word", how=how, log=run.train_log, lines=log).rstrip()
    return Ending(Exit.TRAINING_FAILED, "failed", text)


def announce(run: RunDir, ending: Ending) -> Exit:
    """Say on stderr how the run ended and what can be done next; returns its exit code."""
    talk(standing(run, ending.state, ending.text))
    summary = read_json(run.summary_json) or {}
    for name, value in _facts(run, ending, summary).items():
        talk(f"  {_padded(t(f'command.fact.{name}'))}{value}")
    return ending.code


def _padded(label: str) -> str:
    """As wide as all labels: a Chinese letter takes two cells."""
    from rich.cells import cell_len

    return label + " " * (9 - cell_len(label))


def _facts(run: RunDir, ending: Ending, summary: dict[str, Any]) -> dict[str, str]:
    facts: dict[str, str] = {}
    with suppress(
        AttributeError, KeyError, TypeError
    ):  # a summary of another version may be shaped otherwise
        if train := summary.get("train"):
            facts["train"] = _at_step(train)
        measured = summary.get("eval") or {}
        last, best = measured.get("final"), measured.get("best")
        if last:
            facts["eval"] = _at_step(last)
        if best and best != last:
            facts["best"] = _at_step(best)
    facts["run"] = str(run.root)
    if ending.state == "done" and summary:
        exported = summary.get("export")
        command = f"dpo-tui export {shlex.quote(str(run.root))}"
        facts["export"] = str(exported or t("command.fact.no_export", command=command))
    elif ending.state != "done" and _worth_resuming(run, ending, summary):
        facts["resume"] = resume_command(run)
    return facts


def _at_step(measured: dict[str, Any]) -> str:
    return t("command.fact.at_step", step=measured["step"], metrics=metrics(measured))


def _worth_resuming(run: RunDir, ending: Ending, summary: dict[str, Any]) -> bool:
    """Whether there is something to go on from, and going on can end otherwise: a gate would be missed again."""
    with suppress(AttributeError, KeyError, TypeError):  # as above
        if not all(verdict["passed"] for verdict in summary["gates"]["gates"]):
            return False
    return ending.state == "stopped" or CheckpointIndex(run.checkpoints_dir).latest() is not None
