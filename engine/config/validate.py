"""Every fault in the values of a config: of its texts, of the schema, and between its fields."""

from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from engine.config.checks import conflicts
from engine.config.explain import faults
from engine.config.problems import Fault, KeyPath
from engine.config.schema import Config
from engine.config.strings import string_faults

_STAND_INS: dict[str, Any] = {
    "model": {"id": "stand-in"},
    "data": {"sources": [{"path": "stand-in"}]},
    "sources": [{"path": "stand-in"}],
    "id": "stand-in",
    "path": "stand-in",
}
"""For required keys that are missing or wrong, so that the checks between fields still see all the others."""


def find_faults(data: dict[str, Any]) -> list[Fault]:
    """All faults, one a key; empty for a config that `Config.model_validate` takes and that fits together."""
    found: dict[KeyPath, Fault] = {fault.key: fault for fault in string_faults(data)}
    config, wrong = _validated(data)
    for fault in wrong:
        found.setdefault(fault.key, fault)
    if config is not None:
        broken = list(found)
        for conflict in conflicts(config):
            if not any(_overlap(key, bad) for key in conflict.keys for bad in broken):
                found.setdefault(conflict.keys[0], Fault.of(conflict.keys[0], conflict.message))
    return list(found.values())


def _validated(data: dict[str, Any]) -> tuple[Config | None, list[Fault]]:
    """A config in which defaults and stand-ins take the place of what is wrong, and what is wrong."""
    wrong: dict[KeyPath, Fault] = {}
    for _ in range(3):  # a wrong required key is removed in the first round and stood in for in the second
        try:
            return Config.model_validate(data), list(wrong.values())
        except ValidationError as error:
            news = list(faults(error))
        for fault in news:
            wrong.setdefault(fault.key, fault)
        data = _repaired(data, news)
    return None, list(wrong.values())


def _repaired(data: dict[str, Any], wrong: list[Fault]) -> dict[str, Any]:
    data = deepcopy(data)
    for fault in wrong:
        *outer, last = fault.key
        table: Any = data
        for part in outer:
            table = table[part]
        if isinstance(last, int):
            table[last] = {"path": "stand-in"}
        elif fault.missing:
            table[last] = deepcopy(_STAND_INS.get(last))
        else:
            table.pop(last, None)
    return data


def _overlap(a: KeyPath, b: KeyPath) -> bool:
    shorter = min(len(a), len(b))
    return a[:shorter] == b[:shorter]
