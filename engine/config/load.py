"""From a TOML file and `--set` overrides to a Config, with every problem found at once."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit

from engine.config.local import local_paths
from engine.config.overrides import Override, apply_overrides, label_for
from engine.config.problems import ConfigError, Fault, KeyPath, Problem, dotted, shown
from engine.config.schema import Config
from engine.config.strings import CREDENTIAL, masked, token_lines
from engine.config.toml import TomlDocument, assign
from engine.config.validate import find_faults


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A valid config with the text it came from.

    `config` has local paths made absolute; `document` is the person's text, edited by the overrides only.
    """

    config: Config
    document: TomlDocument
    path: Path


def load_config(path: Path, overrides: Sequence[str] = ()) -> LoadedConfig:
    """Read and check `path`; each override is `key=value`. Raises ConfigError with all problems at once."""
    document = TomlDocument.read(path)
    applied, problems = apply_overrides(document, overrides)
    data = document.unwrap()
    problems += [_problem(fault, document, applied) for fault in find_faults(data)]
    told = {problem.line for problem in problems if problem.text == CREDENTIAL}
    problems += [
        Problem(str(path), line, "", CREDENTIAL, "credential")
        for line in token_lines(document.source)
        if line not in told
    ]
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: problem.line or 0))
    data = _with_absolute_paths(Config.model_validate(data))
    if unfit := find_faults(data):  # a line break in the current directory's name, 4,000 characters
        raise ConfigError(_problem_of_place(fault) for fault in unfit)
    return LoadedConfig(Config.model_validate(data), document, path)


def absolute_paths(config: Config) -> Config:
    """`config` with `~` and the current directory filled into its local paths."""
    return Config.model_validate(_with_absolute_paths(config))


def resolved_toml(config: Config) -> str:
    """Every key with its value, defaults included, as TOML that loads to an equal config."""
    return tomlkit.dumps(config.model_dump(exclude_none=True))


def config_digest(config: Config) -> str:
    """SHA-256 of everything in `config` that determines the trained weights, as 64 hex digits."""
    canonical = json.dumps(_effective(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def differences(a: Config, b: Config) -> list[tuple[str, str, str]]:
    """`(key, value in a, value in b)` for all that makes the digests differ, and for nothing else."""
    left, right = dict(_leaves(_effective(a))), dict(_leaves(_effective(b)))
    keys = [*left, *(key for key in right if key not in left)]
    return [
        (dotted(key), shown(left.get(key)), shown(right.get(key)))
        for key in keys
        if left.get(key) != right.get(key)
    ]


def _effective(config: Config) -> dict[str, Any]:
    """Without the keys that name places, machines, or come after the training, and with `None` left out."""
    training = config.model_dump(mode="json", exclude={"run", "launch", "gates", "export"}, exclude_none=True)
    return {"run": {"seed": config.run.seed}, **training}


def _leaves(value: Any, key: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*key, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*key, index))
    else:
        yield key, value


def _with_absolute_paths(config: Config) -> dict[str, Any]:
    """The values `config` was given, without defaults."""
    data = config.model_dump(exclude_unset=True)
    for key, path in local_paths(config):
        assign(data, [str(part) for part in key], path)
    return data


def _problem(fault: Fault, document: TomlDocument, overrides: Sequence[Override]) -> Problem:
    """The fault with its place: the override that brought it, else the line of the file."""
    if label := label_for(fault.key, document, overrides):
        return Problem(label, None, "", fault.text, fault.code, fault.params)
    key = masked(dotted(fault.key))
    return Problem(str(document.path), document.line_of(fault.key), key, fault.text, fault.code, fault.params)


def _problem_of_place(fault: Fault) -> Problem:
    """A fault that came with the current directory, which a relative path starts at."""
    where = f"the current directory, which {dotted(fault.key)} starts at"
    return Problem(where, None, "", f"{fault.text}. Run this from another directory")
