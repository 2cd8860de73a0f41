"""What a dry run prints: the config as it would be trained, behind comments with what would be started."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from dpo_tui.display import say
from dpo_tui.starting import Prepared
from dpo_tui.text import t
from engine.config.load import resolved_toml
from engine.launch.local import ENGINE, SupervisorCommand, rank_command, supervisor_environment
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
    say("\n".join(f"# {one_line(line)}" for line in lines))
    say(f"# {one_line(memory_line(text))}")
    say(text.rstrip("\n"))


def memory_line(config: str) -> str:
    """The memory that the training will take, as the engine tells it, or why it cannot."""
    try:
        with tempfile.TemporaryDirectory(prefix="dpo-tui-") as folder:
            path = Path(folder) / "config.toml"
            path.write_text(config, encoding="utf-8")
            return t("command.memory", told=_told(path))
    except subprocess.TimeoutExpired:
        why = t("command.memory.silent", seconds=f"{PATIENCE:g}")
    except subprocess.CalledProcessError as error:
        why = _last_line(error.stderr) or t("command.memory.code", code=error.returncode)
    except OSError as error:
        why = error.strerror or str(error)
    return t("command.memory.unknown", why=why)


def _told(path: Path) -> str:
    """What `python -m engine memory` says: a process of its own, since it needs torch."""
    ended = subprocess.run(
        [*ENGINE, "memory", str(path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=supervisor_environment(os.environ),
        timeout=PATIENCE,
        check=True,
    )
    return _last_line(ended.stdout)


def _last_line(text: str) -> str:
    """A process's own word comes last, after whatever its libraries had to say."""
    return next(reversed(text.strip().splitlines()), "")
