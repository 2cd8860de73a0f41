"""What this machine has to train with: cores, memory, GPUs."""

import os
import threading
from dataclasses import dataclass

from dpo_tui import host
from dpo_tui.text import t
from engine.cgroup import own_limit

PATIENCE = 10.0
"""Seconds within which the driver has to answer: one that hangs does so for ever."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, its memory in bytes."""

    name: str
    memory: int


@dataclass(frozen=True, slots=True)
class Machine:
    """Cores and bytes of memory this process may use, and the GPUs a training would see."""

    cores: int
    memory: int
    gpus: tuple[Gpu, ...] = ()
    unknown: str = ""
    """Why the GPUs could not be counted, in words; empty where they were."""


def look() -> Machine:
    """Ask the system and the NVIDIA driver: takes up to a second, `PATIENCE` at most, so in a thread."""
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus, unknown = _asked()
    return Machine(cores, min(psutil.virtual_memory().total, own_limit()), gpus, unknown)


def _asked() -> tuple[tuple[Gpu, ...], str]:
    """The GPUs, or why they are not known. A thread that the driver never lets go does not keep the app alive."""
    answers: list[tuple[tuple[Gpu, ...], str]] = []

    def ask() -> None:
        try:
            answers.append((tuple(_gpus()), ""))
        except Exception as error:  # a driver fails in many ways
            answers.append(((), str(error) or type(error).__name__))

    thread = threading.Thread(target=ask, name="gpus", daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return answers[0] if answers else ((), t("wizard.machine.silent", seconds=f"{PATIENCE:g}"))


def _gpus() -> list[Gpu]:
    """The GPUs that a training would see: CUDA_VISIBLE_DEVICES hides some."""
    found = _visible(list(host.gpus()), os.environ.get("CUDA_VISIBLE_DEVICES"))
    return [Gpu(host.name_of(gpu), gpu.total) for gpu in found]


def _visible(gpus: list[host.Gpu], named: str | None) -> list[host.Gpu]:
    """Those that CUDA_VISIBLE_DEVICES names, by number; named otherwise, as many as it names."""
    if named is None:
        return gpus
    names = [name.strip() for name in named.split(",") if name.strip() and name.strip() != "-1"]
    if all(name.isdigit() for name in names):
        by_number = {gpu.index: gpu for gpu in gpus}
        return [by_number[int(name)] for name in names if int(name) in by_number]
    return gpus[: len(names)]
