"""What this machine is doing: processors, memory, GPUs, and what of it a run takes. Blocking: for a thread."""

from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from engine.process import ProcessId


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU: its number, bytes used and there, and the share of time in which it worked, None where untold."""

    index: int
    used: int
    total: int
    busy: float | None


@dataclass(frozen=True, slots=True)
class Load:
    """One look at the machine. `run` is the memory of the run's processes, None when none of them lives."""

    cpu: float
    used: int
    total: int
    run: int | None
    gpus: tuple[Gpu, ...]


def look(supervisor: ProcessId | None) -> Load:
    """How the machine stands now; `cpu` is the share since the look before."""
    import psutil

    memory = psutil.virtual_memory()
    return Load(
        cpu=psutil.cpu_percent(interval=None) / 100,
        used=memory.total - memory.available,
        total=memory.total,
        run=memory_of(supervisor) if supervisor is not None else None,
        gpus=gpus(),
    )


def memory_of(supervisor: ProcessId) -> int | None:
    """Bytes resident in a supervisor and in all that it started; None when it is gone, or its pid is another's."""
    import psutil

    if not supervisor.alive():
        return None
    total = 0
    with suppress(psutil.Error):
        parent = psutil.Process(supervisor.pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_info().rss
    return total


def gpus() -> tuple[Gpu, ...]:
    """The GPUs of this machine; none where there is no driver, or it does not answer."""
    nvml = _nvml()
    if nvml is None:
        return ()
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError:
        return ()
    return tuple(
        gpu for index, handle in enumerate(handles) if (gpu := _gpu(nvml, index, handle)) is not None
    )


def name_of(gpu: Gpu) -> str:
    """What its maker calls it; empty where the driver does not say."""
    name: str | bytes = ""
    if (nvml := _nvml()) is not None:
        with suppress(nvml.NVMLError):
            name = nvml.nvmlDeviceGetName(nvml.nvmlDeviceGetHandleByIndex(gpu.index))
    return name.decode(errors="replace") if isinstance(name, bytes) else name


def _gpu(nvml: Any, index: int, handle: Any) -> Gpu | None:
    """One GPU; None for one that fell off the bus. A MIG slice tells no share of time."""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError:
        return None
    busy = None
    with suppress(nvml.NVMLError):
        busy = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    return Gpu(index, int(memory.used), int(memory.total), busy)


@cache
def _nvml() -> Any | None:
    """The driver's library, ready; None without one. Asked for once."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no package, no driver, a driver of another version: it says so in many ways
        return None
    return pynvml
