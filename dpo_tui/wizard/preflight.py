"""What is looked at before a run starts: each check is right, doubtful or wrong, and may know its own fix.

`gather` asks the machine, `checks` judges: the second is pure.
"""

import importlib.util
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dpo_tui import quantities
from dpo_tui.starting import occupied
from dpo_tui.wizard.machine import Machine
from dpo_tui.wizard.naming import free_name, near
from engine.config.local import local_inputs
from engine.config.problems import dotted
from engine.config.schema import Config
from engine.rundir.files import free_bytes
from engine.shipped import BUILTIN_PACKAGES

Verdict = Literal["ok", "warn", "bad"]

BYTES_A_PARAMETER = 12
"""Of a checkpoint: fp32 weights and the two moments of AdamW."""


@dataclass(frozen=True, slots=True)
class Check:
    """`wizard.check.<code>.<verdict>` is its sentence; `fix` are the keys that would put it right."""

    code: str
    verdict: Verdict
    params: dict[str, Any] = field(default_factory=dict)
    fix: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a check has to know of the machine, and of the hub's login and cache."""

    root: Path
    machine: Machine
    taken: bool = False
    free_name: str = ""
    missing: tuple[tuple[str, str], ...] = ()
    """Local inputs that are not there: the key and the path."""
    free: int | None = None
    parameters: int | None = None
    installed: bool = True
    logged_in: bool = True
    offline: bool = False
    cached: frozenset[str] = frozenset()


def gather(config: Config, root: Path, machine: Machine, parameters: int | None) -> Facts:
    """Look at the disk, the packages, the hub's login and cache; no network."""
    inputs = [(dotted(key), path) for key, path in local_inputs(config)]
    hub = config.model.source == "hub" or any(source.source == "hub" for source in config.data.sources)
    offline = _offline()
    taken = occupied(root)
    return Facts(
        root=root,
        machine=machine,
        taken=taken,
        free_name=free_name(root) if taken else root.name,
        missing=tuple((key, path) for key, path in inputs if not os.path.exists(path)),
        free=free_bytes(root.parent),
        parameters=parameters,
        installed=config.model.source != "builtin" or _installed(config.model.id),
        logged_in=config.export.push is None or _logged_in(),
        offline=offline,
        cached=_cached() if hub and offline else frozenset(),
    )


def checks(config: Config, facts: Facts) -> list[Check]:
    """Every check that concerns this config, in the order in which a run would meet them."""
    return [check for judge in CHECKS for check in judge(config, facts)]


def name(_: Config, facts: Facts) -> Iterator[Check]:
    """A run's directory is its own."""
    params = {"root": near(facts.root), "name": facts.root.name, "free": facts.free_name}
    yield (
        Check("name", "bad", params, {"run.name": facts.free_name})
        if facts.taken
        else Check("name", "ok", params)
    )


def model(config: Config, facts: Facts) -> Iterator[Check]:
    """The built-in model is a package; what is on the hub must be here when the hub is not."""
    of = config.model
    if of.source == "builtin":
        command = BUILTIN_PACKAGES[of.id].install
        yield Check("builtin", "ok" if facts.installed else "bad", {"id": of.id, "command": command})
    if of.source == "hub" and facts.offline:
        yield Check("cached", "ok" if of.id in facts.cached else "warn", {"id": of.id})


def data(config: Config, facts: Facts) -> Iterator[Check]:
    """Files are where the config says; datasets are here when the hub is not."""
    for key, path in facts.missing:
        yield Check("input", "bad", {"key": key, "path": path})
    if not facts.missing and (inputs := list(local_inputs(config))):
        yield Check("input", "ok", {"count": len(inputs)})
    for source in config.data.sources:
        if source.source == "hub" and facts.offline:
            yield Check("cached", "ok" if source.path in facts.cached else "warn", {"id": source.path})


def devices(config: Config, facts: Facts) -> Iterator[Check]:
    """A process trains on a GPU of its own; without any GPU they all share the cores."""
    if config.launch.launcher != "local":
        return
    asked, found = config.launch.devices, len(facts.machine.gpus)
    params = {"asked": asked, "found": found, "cores": facts.machine.cores}
    if found == 0:
        yield Check("cpu", "ok" if asked == 1 else "warn", params)
    elif asked > found:
        yield Check("devices", "bad", params, {"launch.devices": found})
    else:
        yield Check("devices", "ok", params)


def disk(config: Config, facts: Facts) -> Iterator[Check]:
    """Room for the checkpoints kept, the best beside them, and the one being written."""
    if facts.free is None:
        return
    free = quantities.size(facts.free)
    if facts.parameters is None or config.model.lora is not None:
        yield Check("disk", "ok", {"free": free})
        return
    needed = facts.parameters * BYTES_A_PARAMETER * (config.train.keep + 2)
    verdict: Verdict = "ok" if needed <= facts.free else "warn"
    fix = {"train.keep": 1} if verdict == "warn" and config.train.keep > 1 else {}
    yield Check("space", verdict, {"free": free, "needed": quantities.size(needed)}, fix)


def push(config: Config, facts: Facts) -> Iterator[Check]:
    """An upload at the end needs a login and the network; the model is on the disk in any case."""
    if config.export.push is None:
        return
    if facts.offline:
        yield Check("push_offline", "warn", {"repo": config.export.push})
    else:
        yield Check("login", "ok" if facts.logged_in else "warn", {"repo": config.export.push})


CHECKS: tuple[Callable[[Config, Facts], Iterator[Check]], ...] = (name, model, data, devices, disk, push)


def _installed(builtin: str) -> bool:
    return importlib.util.find_spec(BUILTIN_PACKAGES[builtin].name) is not None


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _logged_in() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None


def _cached() -> frozenset[str]:
    from dpo_tui.hub.cache import cached

    return frozenset([*cached("model"), *cached("dataset")])
