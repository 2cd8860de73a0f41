"""Paths of this machine in a config: which keys hold one, made absolute, and whether something is there."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.config.problems import KeyPath, dotted
from engine.exits import UnusableError

if TYPE_CHECKING:
    from engine.config.schema import Config
    from engine.config.slurm import Slurm


def local_inputs(config: "Config") -> Iterator[tuple[KeyPath, str]]:
    """The key of each local path that training reads, with the path made absolute."""
    if config.model.source == "local":
        yield ("model", "id"), absolute(config.model.id)
    for index, source in enumerate(config.data.sources):
        if source.source == "local":
            yield ("data", "sources", index, "path"), absolute(source.path)
    if config.data.chat_template is not None:
        yield ("data", "chat_template"), absolute(config.data.chat_template)
    if config.launch.deepspeed is not None:
        yield ("launch", "deepspeed"), absolute(config.launch.deepspeed)
    if config.launch.slurm is not None and config.launch.slurm.setup is not None:
        yield ("launch", "slurm", "setup"), absolute(config.launch.slurm.setup)


def local_paths(config: "Config") -> Iterator[tuple[KeyPath, str]]:
    """The key of each local path, read or written, with the path made absolute."""
    yield from local_inputs(config)
    if config.export.to is not None:
        yield ("export", "to"), absolute(config.export.to)
    if config.launch.slurm is not None:
        yield from _job_paths(config.launch.slurm)


def _job_paths(job: "Slurm") -> Iterator[tuple[KeyPath, str]]:
    if job.cache is not None:
        yield ("launch", "slurm", "cache"), absolute(job.cache)
    for index, folder in enumerate(job.container_mounts or ()):
        yield ("launch", "slurm", "container_mounts", index), absolute(folder)


def absolute(path: str) -> str:
    """With `~` and the current directory filled in. Not resolved: a symbolic link keeps its name."""
    return str(Path.cwd() / expanded(path))


def expanded(path: str | Path) -> Path:
    """With `~` filled in; `~name` without such a user is a directory of that name, for which pathlib raises."""
    return Path(os.path.expanduser(path))


def require_inputs(config: "Config") -> None:
    """Raise UnusableError, naming all of them, for local inputs that are not there."""
    lost = {dotted(key): problem for key, path in local_inputs(config) if (problem := _unreachable(path))}
    if lost:
        lines = [f"{key}: {problem}" for key, problem in lost.items()]
        advice = "Correct the path, or put the file or folder there; a relative path starts at the current directory."
        raise UnusableError(
            "config.input_missing", "\n".join([*lines, advice]), keys=list(lost), problems=lines
        )


def _unreachable(path: str) -> str | None:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return f"{path} does not exist"
    except OSError as error:
        return f"{path} cannot be reached: {error.strerror}"
    return None
