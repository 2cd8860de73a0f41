"""What a dry run prints: the config as it would be trained, behind comments with what would be started."""

import json
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dpo_tui.display import say
from dpo_tui.engine_answer import NoAnswerError, ask
from dpo_tui.quantities import gibibytes
from dpo_tui.sentences import part_word
from dpo_tui.starting import Prepared
from dpo_tui.text import t
from engine.config.load import resolved_toml
from engine.config.schema import Config
from engine.launch.deepspeed import STAGES, deepspeed_config
from engine.launch.local import SupervisorCommand, rank_command
from engine.memory import PARTS
from engine.sanitize import one_line

PATIENCE = 60.0
"""Seconds within which the engine has to tell the memory: it may have to ask the hub for the model's sizes."""


def describe(prepared: Prepared, command: SupervisorCommand) -> None:
    """Print the resolved config, with the commands it would be run by and its memory as comments."""
    run, world = prepared.run, prepared.config.launch.devices
    lines = [f"run directory: {run.root}", f"supervisor: {shlex.join(command(run, None))}"]
    for rank in range(world):
        argv, extra = rank_command(run, rank, world)
        setting = "".join(f"{key}={value} " for key, value in extra.items())
        lines.append(f"rank {rank}: {setting}{shlex.join(argv)}")
    text = resolved_toml(prepared.config)
    lines += foreseen_lines(prepared.config, text)
    say("\n".join(f"# {one_line(line)}" for line in lines))
    say(text.rstrip("\n"))


def foreseen_lines(config: Config, text: str) -> list[str]:
    """What the devices will divide and the memory it will take, as the engine tells it, or why it cannot."""
    try:
        with tempfile.TemporaryDirectory(prefix="dpo-tui-") as folder:
            path = Path(folder) / "config.toml"
            path.write_text(text, encoding="utf-8")
            told = ask("memory", str(path), "--json", patience=PATIENCE)
    except NoAnswerError as error:
        return [t("command.memory.unknown", why=error)]
    except OSError as error:
        return [t("command.memory.unknown", why=error.strerror or error)]
    return [*_strategy(config, told), *_memory(told)]


def _strategy(config: Config, told: dict[str, Any]) -> Iterator[str]:
    """What the devices divide, why, and what DeepSpeed will be given."""
    strategy = told["strategy"]
    yield t("command.strategy", strategy=strategy, devices=config.launch.devices, reason=told["reason"])
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
