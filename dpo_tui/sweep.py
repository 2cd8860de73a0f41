"""A sweep: one run for each combination of the values in [launch.slurm] array, sent to the cluster as one job array.

Each run is a run like any other, `NAME-1` and so on beside each other; the folder NAME holds the script they share.
"""

import itertools
import json as jsonlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dpo_tui import sending
from dpo_tui.display import say, talk
from dpo_tui.job_follow import leave
from dpo_tui.runs import current_job, effective_state, reason_text, state_word
from dpo_tui.sending import Wanted
from dpo_tui.starting import Prepared, locate, occupied, placed, prepare
from dpo_tui.sweep_table import result_of, table
from dpo_tui.text import t
from engine.config.load import load_config
from engine.config.schema import Config
from engine.config.toml import written
from engine.exits import EngineError, Exit, UsageError
from engine.launch.verdict import exit_of
from engine.rundir.files import writing
from engine.rundir.paths import RunDir
from engine.rundir.status import Status

_LOOK_SECONDS = 1.0
MOST_RUNS = 1000


@dataclass(frozen=True, slots=True)
class Sweep:
    """The runs of a sweep, each with what it varies, and the `folder` of its script."""

    config: Config
    """What all of them have in common, with the values that they vary."""
    folder: Path
    runs: tuple[Prepared, ...]
    values: tuple[dict[str, Any], ...]

    @property
    def script(self) -> Path:
        """What its job array runs."""
        return self.folder / "job.sbatch"

    @property
    def left(self) -> list[Prepared]:
        """Those that are still to be trained."""
        return [run for run in self.runs if not run.done]


def prepare_sweep(
    path: Path,
    *,
    run_name: str | None = None,
    runs_dir: Path | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
) -> Sweep | None:
    """The sweep that a config describes; None for a config of one run. Nothing is written. Raises EngineError."""
    if not os.path.isfile(path):
        return None  # a run, a pipe that is read but once, or nothing
    config = load_config(path, overrides).config
    array = config.launch.job.array
    if config.launch.launcher != "slurm" or not array:
        return None
    folder = locate(path, config, run_name, runs_dir).root
    values = [dict(zip(array, some, strict=True)) for some in itertools.product(*array.values())]
    if len(values) > MOST_RUNS:
        text = f"launch.slurm.array has {len(values):,} combinations, and a sweep at most {MOST_RUNS:,}: leave some out"
        raise UsageError("sweep.too_many", text, count=len(values), most=MOST_RUNS)
    if not resume and occupied(folder):
        text = f"{folder} exists already: go on with its sweep by --resume, or name another with --run NAME"
        raise UsageError("sweep.exists", text, folder=str(folder))
    runs = tuple(
        _prepare(
            path, f"{folder.name}-{number}", folder.parent, [*overrides, *_settings(some)], resume=resume
        )
        for number, some in enumerate(values, start=1)
    )
    return Sweep(placed(config, RunDir(folder)), folder, runs, tuple(values))


def send_sweep(sweep: Sweep, *, json: bool, detach: bool) -> Exit:
    """Make its runs, send them as one job, and stay until all have ended; then print a table of what came out."""

    def tell(job: str) -> None:
        count = len(sweep.left)
        talk(t("command.sweep.sent", name=sweep.folder.name, count=count, job=job, root=sweep.folder))

    try:
        send(sweep, sent=tell)
        if detach:
            names = [prepared.run.name for prepared in sweep.runs]
            say(jsonlib.dumps(names) if json else "\n".join(names))
            return Exit.DONE
        ended = _follow(sweep)
    except KeyboardInterrupt:
        if current_job(sweep.runs[0].run) is None:  # nothing was sent yet
            raise
        return leave(sweep.runs[0].run)
    results = [
        result_of(run.run, some, end.state)
        for run, some, end in zip(sweep.runs, sweep.values, ended, strict=True)
    ]
    say(jsonlib.dumps(results, indent=2) if json else "\n".join(table(results)))
    codes = [exit_of(end.exit_code or 0) for end in ended]
    return next((code for code in codes if code is not Exit.DONE), Exit.DONE)


def send(
    sweep: Sweep, *, sent: Callable[[str], object] = lambda _: None, wanted: Wanted = lambda: True
) -> None:
    """Make the runs that are still to be trained, and send them as one job: as `dpo_tui.sending.send` does."""
    left = sweep.left
    if not left:
        return
    anew = not sweep.folder.exists()
    with writing(sweep.folder):
        sweep.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        sending.send(left, sweep.script, sent=sent, wanted=wanted)
    except EngineError:
        if anew:
            shutil.rmtree(sweep.folder, ignore_errors=True)
        raise


def _follow(sweep: Sweep) -> list[Status]:
    """Tell of each run how it stands whenever that changes, until all have ended."""
    told: dict[str, tuple[str, str]] = {}
    while True:
        standing = [effective_state(prepared.run) for prepared in sweep.runs]
        for prepared, status in zip(sweep.runs, standing, strict=True):
            now = (status.state, reason_text(status))
            if told.get(prepared.run.name) != now:
                told[prepared.run.name] = now
                words = ": ".join(part for part in (state_word(status.state), now[1]) if part)
                talk(t("command.sweep.state", name=prepared.run.name, text=words))
        if all(status.final for status in standing):
            return standing
        time.sleep(_LOOK_SECONDS)


def _prepare(path: Path, name: str, runs_dir: Path, overrides: Sequence[str], *, resume: bool) -> Prepared:
    """One run of the sweep, whose own config has no array."""
    prepared = prepare(path, run_name=name, runs_dir=runs_dir, overrides=overrides, resume=resume)
    launch = prepared.config.launch
    alone = launch.model_copy(update={"slurm": launch.job.model_copy(update={"array": None})})
    return replace(prepared, config=prepared.config.model_copy(update={"launch": alone}))


def _settings(values: dict[str, Any]) -> list[str]:
    return [f"{key}={written(value)}" for key, value in values.items()]
