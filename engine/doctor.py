"""`python -m engine doctor`: what this machine has to train with, and what is wrong with it, as one JSON array.

Each finding has a name, a verdict, and the numbers its sentence is made of. Nothing is changed but for what compiling
a trivial function leaves in a cache.
"""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import platformdirs
import psutil
import torch

from engine.arguments import Parser
from engine.cgroup import own_limit
from engine.exits import Exit
from engine.extras import BITSANDBYTES
from engine.kernels import cpu_attention
from engine.kernels.compiled import compiler_problem
from engine.models.quiet import quiet_libraries, talk_on_stderr
from engine.modelscope_home import INSTALL, PACKAGE
from engine.numerics import device_has_bf16
from engine.parallel.ops import build_folder, lock_age

Verdict = Literal["ok", "note", "warn", "bad"]

LITTLE_DISK = 20 << 30
"""Bytes: a checkpoint of a model of a billion weights takes 12."""
LITTLE_MEMORY = 4 << 30
PATIENCE = 10.0
"""Seconds a command of Slurm has."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `verdict` is ok, a note on what is not there, a warning, or bad: nothing can be trained."""

    name: str
    verdict: Verdict
    params: dict[str, Any] = field(default_factory=dict)


def main(argv: Sequence[str]) -> Exit:
    """Print all findings."""
    Parser(prog="python -m engine doctor", description=__doc__).parse_args(argv)
    quiet_libraries()
    with talk_on_stderr():
        found = [finding for check in CHECKS for finding in check()]
    print(json.dumps([asdict(finding) for finding in found]))
    return Exit.DONE


def programs() -> Iterator[Finding]:
    """Python, torch, and what it was built for."""
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
    yield Finding(
        "torch", "ok", {"torch": torch.__version__, "build": build, "python": platform.python_version()}
    )


def gpus() -> Iterator[Finding]:
    """The GPUs torch can use, against those that the driver knows."""
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    known = _driver_gpus()
    if names:
        memory = min(torch.cuda.get_device_properties(i).total_memory for i in range(len(names)))
        params = {"count": len(names), "names": ", ".join(dict.fromkeys(names)), "memory": memory}
        yield Finding("gpus", "ok", params)
    elif known:
        yield Finding("gpus", "bad", {"count": known, "torch": torch.__version__})
    else:
        yield Finding("gpus", "note", {"cores": len(os.sched_getaffinity(0))})


def _driver_gpus() -> int:
    """How many GPUs the NVIDIA driver has; 0 without one."""
    import pynvml

    try:
        pynvml.nvmlInit()
        return int(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return 0


def numbers() -> Iterator[Finding]:
    """Whether bf16 is fast here."""
    yield Finding("bf16", "ok" if device_has_bf16() else "note")


def compiler() -> Iterator[Finding]:
    """Whether layers can be compiled, and the attention kernel for CPUs."""
    problem = compiler_problem()
    yield Finding("compiler", "warn" if problem else "ok", {"why": problem} if problem else {})
    if not torch.cuda.is_available() and torch.cpu._is_avx512_bf16_supported():
        why = cpu_attention.problem()
        yield Finding("attention", "warn" if why else "ok", {"why": why} if why else {})


def deepspeed() -> Iterator[Finding]:
    """DeepSpeed, and what it compiles for processes on a CPU."""
    try:
        params = {"version": version("deepspeed")}
    except PackageNotFoundError:
        yield Finding("deepspeed", "warn")
        return
    yield Finding("deepspeed", "ok", params)
    if torch.cuda.is_available():
        return
    folder = build_folder()
    age = lock_age(folder)
    if age is not None:
        yield Finding("lock", "warn", {"path": str(folder / "lock"), "minutes": int(age // 60)})


def modelscope() -> Iterator[Finding]:
    """The package for models and data of ModelScope."""
    try:
        yield Finding("modelscope", "ok", {"version": version(PACKAGE)})
    except PackageNotFoundError:
        yield Finding("modelscope", "note", {"command": INSTALL})


def quantizer() -> Iterator[Finding]:
    """What QLoRA needs."""
    try:
        yield Finding("bitsandbytes", "ok", {"version": version(BITSANDBYTES.name)})
    except PackageNotFoundError:
        yield Finding("bitsandbytes", "note", {"command": BITSANDBYTES.install})


def network() -> Iterator[Finding]:
    """What processes talk by."""
    found = ["gloo"] if torch.distributed.is_gloo_available() else []
    found += ["nccl"] if torch.distributed.is_nccl_available() else []
    wanted = {"gloo", "nccl"} if torch.cuda.is_available() else {"gloo"}
    lacking = sorted(wanted - set(found))
    yield Finding(
        "network", "warn" if lacking else "ok", {"found": ", ".join(found), "lacking": ", ".join(lacking)}
    )


def memory() -> Iterator[Finding]:
    """This machine's memory, or what a container or job is allowed of it."""
    there, limit = psutil.virtual_memory(), own_limit()
    params = {"total": min(there.total, limit), "free": min(there.available, limit)}
    yield Finding("memory", "warn" if params["free"] < LITTLE_MEMORY else "ok", params)


def disk() -> Iterator[Finding]:
    """Room for runs, here, and for what is cached."""
    for name, path in (("disk", Path.cwd()), ("cache", Path(platformdirs.user_cache_dir("dpo-tui")))):
        standing = next(place for place in (path, *path.parents) if place.exists())
        try:
            free = shutil.disk_usage(standing).free
        except OSError as error:
            yield Finding(name, "bad", {"path": str(path), "why": error.strerror or str(error)})
            continue
        if not os.access(standing, os.W_OK):
            yield Finding(name, "bad", {"path": str(path), "why": "it cannot be written"})
        else:
            yield Finding(name, "warn" if free < LITTLE_DISK else "ok", {"path": str(path), "free": free})


def slurm() -> Iterator[Finding]:
    """A cluster to submit to."""
    if shutil.which("sbatch") is None:
        yield Finding("slurm", "note")
        return
    said, why = _output(["sinfo", "--version"])
    yield Finding(
        "slurm", "warn" if why else "ok", {"why": why} if why else {"version": said.removeprefix("slurm ")}
    )


def _output(command: list[str]) -> tuple[str, str]:
    """What a command prints, and why it failed, if it did."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    first = ""
    with suppress(IndexError):
        first = done.stderr.strip().splitlines()[0]
    return done.stdout.strip(), "" if done.returncode == 0 else first or f"exit code {done.returncode}"


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    programs,
    gpus,
    numbers,
    compiler,
    deepspeed,
    modelscope,
    quantizer,
    network,
    memory,
    disk,
    slurm,
)
