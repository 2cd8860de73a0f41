"""What this machine has to train with: cores, memory, GPUs."""

import os
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, its memory in bytes."""

    name: str
    memory: int


@dataclass(frozen=True, slots=True)
class Machine:
    """Cores this process may use, memory in bytes, and the GPUs a training would see."""

    cores: int
    memory: int
    gpus: tuple[Gpu, ...] = ()


def look() -> Machine:
    """Ask the system and the NVIDIA driver: takes up to a second, so in a thread."""
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(cores, psutil.virtual_memory().total, tuple(_gpus()))


def _gpus() -> list[Gpu]:
    """The GPUs by NVML; none where there is no driver. CUDA_VISIBLE_DEVICES hides some."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # the driver's own errors, or no such library
        return []
    found: list[Gpu] = []
    try:
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            name = pynvml.nvmlDeviceGetName(handle)
            text = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
            found.append(Gpu(text, int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)))
    except Exception:  # noqa: S110 # what was found counts
        pass
    finally:
        with suppress(Exception):
            pynvml.nvmlShutdown()
    return _visible(found, os.environ.get("CUDA_VISIBLE_DEVICES"))


def _visible(gpus: list[Gpu], named: str | None) -> list[Gpu]:
    """Those that CUDA_VISIBLE_DEVICES names, by number; named otherwise, as many as it names."""
    if named is None:
        return gpus
    names = [name.strip() for name in named.split(",") if name.strip() and name.strip() != "-1"]
    if all(name.isdigit() for name in names):
        return [gpus[int(name)] for name in names if int(name) < len(gpus)]
    return gpus[: len(names)]
