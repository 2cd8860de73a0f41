"""What a dry run prints: the config as it would be trained, behind comments with what would be started."""

import json
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dpo_tui.display import say
from dpo_tui.engine_answer import NoAnswerError, ask
from dpo_tui.job_memory import known_of
from dpo_tui.quantities import gibibytes
from dpo_tui.sentences import part_word
from dpo_tui.starting import Prepared
from dpo_tui.sweep import Sweep
from dpo_tui.text import t
from dpo_tui.text.explain import error_text
from engine.config.load import resolved_toml
from engine.config.schema import Config
from engine.exits import EngineError
from engine.forecast import computes_fast_bf16
from engine.launch.deepspeed import STAGES, deepspeed_config
from engine.launch.local import SupervisorCommand, rank_command
from engine.launch.slurm.device import JobDevice, job_device
from engine.launch.slurm.script import job_script
from engine.launch.slurm.step import step_command
from engine.launch.slurm.submit import try_submission
from engine.memory import PARTS
from engine.precision import computing_type
from engine.rundir.paths import RunDir
from engine.sanitize import one_line

PATIENCE = 60.0
"""Seconds within which the engine has to tell the memory: it may have to ask the hub for the model's sizes."""


def describe(what: Sweep | Prepared, command: SupervisorCommand) -> None:
    """Print the resolved config, with the commands it would be run by and its memory as comments."""
    config = what.config
    if isinstance(what, Sweep):
        lines = [
            f"{one.run.root}: {', '.join(f'{key} = {value}' for key, value in values.items())}"
            for one, values in zip(what.runs, what.values, strict=True)
        ]
        lines += _job(config, [one.run for one in what.runs], what.script)
    else:
        lines = [f"run directory: {what.run.root}"]
        lines += (
            _job(config, [what.run], what.run.job_script) if what.on_cluster else _processes(what, command)
        )
    text = resolved_toml(config)
    lines += foreseen_lines(config, text)
    say("\n".join(f"# {one_line(line)}".rstrip() for line in lines))
    say(text.rstrip("\n"))


def _processes(prepared: Prepared, command: SupervisorCommand) -> Iterator[str]:
    """The supervisor and the ranks that this machine would start."""
    run, world = prepared.run, prepared.config.launch.world
    yield f"supervisor: {shlex.join(command(run, None))}"
    for rank in range(world):
        argv, extra = rank_command(run, rank, world)
        setting = "".join(f"{key}={value} " for key, value in extra.items())
        yield f"rank {rank}: {setting}{shlex.join(argv)}"


def _job(config: Config, runs: Sequence[RunDir], at: Path) -> Iterator[str]:
    """The job that would be sent, what its supervisor would start in it, and what the cluster says to it now."""
    yield f"{at}:"
    yield from (f"    {line}" for line in job_script(config, runs, at).splitlines())
    yield f"ranks: {shlex.join(step_command(runs[0], config))}"
    try:
        yield t("command.test_only", said=try_submission(config, runs))
    except EngineError as error:
        yield t("command.test_only", said=error_text(error))


def foreseen_lines(config: Config, text: str) -> list[str]:
    """What the devices will divide and the memory it will take, as the engine tells it, or why it cannot."""
    if config.launch.launcher != "slurm":
        return _told(config, text)
    job = job_device(config)
    if job.room is None:
        return [*_asked_for(config, job), t("command.memory.unknown", why=known_of(job))]
    about = t("command.job_memory", said=known_of(job))
    return [about, *_told(config, text, "--device", job.device, "--room", str(job.room))]


def _told(config: Config, text: str, *device: str) -> list[str]:
    """The engine's own answer about a `device`, this machine's without."""
    try:
        with tempfile.TemporaryDirectory(prefix="dpo-tui-") as folder:
            path = Path(folder) / "config.toml"
            path.write_text(text, encoding="utf-8")
            told = ask("memory", str(path), "--json", *device, patience=PATIENCE)
    except NoAnswerError as error:
        return [t("command.memory.unknown", why=error)]
    except OSError as error:
        return [t("command.memory.unknown", why=error.strerror or error)]
    return [*_strategy(config, told), *_memory(told)]


def _asked_for(config: Config, job: JobDevice) -> Iterator[str]:
    """What the config itself says that devices divide."""
    dtype = computing_type(config.model.dtype, fast_bf16=computes_fast_bf16(job.device))
    if (strategy := config.launch.strategy) != "auto":
        yield from _strategy(config, {"strategy": strategy, "reason": "the config says so", "dtype": dtype})


def _strategy(config: Config, told: dict[str, Any]) -> Iterator[str]:
    """What the devices divide, why, and what DeepSpeed will be given."""
    strategy = told["strategy"]
    yield t("command.strategy", strategy=strategy, devices=config.launch.world, reason=told["reason"])
    if strategy in STAGES:
        yield f"deepspeed: {json.dumps(deepspeed_config(config, strategy, told['dtype']))}"


def _memory(told: dict[str, Any]) -> Iterator[str]:
    """The sum with its parts, and a second line where it may be too much."""
    parts = ", ".join(f"{part_word(part)} {gibibytes(told[part])}" for part in PARTS if told[part])
    shown = {"total": gibibytes(told["total"]), "room": gibibytes(told["room"])}
    yield t("command.memory", parts=parts, tokens=f"{told['tokens_per_pack']:,}", **shown)
    if told["fits"]:
        return
    if change := told["remedy"]:
        yield t("command.memory.tight", change=change["text"], then=gibibytes(change["total"]))
    else:
        yield t("command.memory.none")
