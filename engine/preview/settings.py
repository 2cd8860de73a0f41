"""The parts of a config that come with a question: valid, with absolute paths, or every fault in one error."""

from collections.abc import Iterable
from typing import Any

from engine.config.load import absolute_paths
from engine.config.problems import Fault, KeyPath, dotted, found
from engine.config.schema import Config, Model, Source
from engine.config.strings import masked
from engine.config.validate import find_faults
from engine.exits import UsageError

_ANY_MODEL = {"source": "local", "id": "any"}
_ANY_SOURCE = {"source": "local", "path": "any"}


def config_of(values: Any) -> Config:
    """A whole config. Raises UsageError `config.invalid`, whose params name the key and the fault of each problem."""
    return _valid(values, ())


def model_of(values: Any) -> Model:
    """A `[model]` table; problems are named by its own keys."""
    return _valid({"model": values, "data": {"sources": [_ANY_SOURCE]}}, ("model",)).model


def source_of(values: Any) -> Source:
    """One of `[[data.sources]]`; problems are named by its own keys."""
    config = {"model": _ANY_MODEL, "data": {"sources": [values]}}
    return _valid(config, ("data", "sources", 0)).data.sources[0]


def _valid(values: Any, within: KeyPath) -> Config:
    """Checked once more with absolute paths, for a current directory whose name cannot be in a config."""
    if not isinstance(values, dict):
        params = {"expected": ["a table"], "found": found(values)}
        raise _invalid([Fault(within, "expected a table", False, "expected", params)], within)
    if faults := find_faults(values):
        raise _invalid(faults, within)
    config = absolute_paths(Config.model_validate(values))
    if faults := find_faults(config.model_dump(exclude_unset=True)):
        raise _invalid(faults, within)
    return config


def _invalid(faults: Iterable[Fault], within: KeyPath) -> UsageError:
    problems = [_told(fault, within) for fault in faults]
    text = "\n".join(": ".join(filter(None, (problem["key"], problem["text"]))) for problem in problems)
    return UsageError("config.invalid", text, count=len(problems), problems=problems)


def _told(fault: Fault, within: KeyPath) -> dict[str, Any]:
    key = masked(dotted(_below(fault.key, within)))
    return {"key": key, "text": fault.text, "code": fault.code, "params": fault.params}


def _below(key: KeyPath, within: KeyPath) -> KeyPath:
    return key[len(within) :] if key[: len(within)] == within else key
