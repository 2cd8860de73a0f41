"""The process group and the device, behind Accelerate: the only file that knows how many processes train."""

from importlib.metadata import version

import torch
from accelerate import Accelerator
from torch import Tensor

from engine import rounding
from engine.exits import EnvironmentUnfitError


def make_accelerator(devices: int) -> Accelerator:
    """One process a device; precision is the policy's own business, so Accelerate gets none to mix."""
    torch.use_deterministic_algorithms(torch.cuda.is_available(), warn_only=True)  # a CPU's are as they are
    accelerator = Accelerator(mixed_precision="no", cpu=not torch.cuda.is_available())
    if accelerator.num_processes != devices:
        raise EnvironmentUnfitError(
            "launch.world_size",
            f"{accelerator.num_processes} training processes came up where launch.devices asks for {devices}",
            found=accelerator.num_processes,
            expected=devices,
        )
    return accelerator


def total(accelerator: Accelerator, values: Tensor) -> Tensor:
    """`values` summed over all processes."""
    out = accelerator.reduce(values, reduction="sum")
    assert isinstance(out, Tensor)
    return out


def numerics(dtype: torch.dtype, policy: str) -> str:
    """All that decides how the same weights and tokens round: two equal strings mean comparable log-probabilities."""
    if torch.cuda.is_available():
        unit = torch.cuda.get_device_name()
    else:
        unit = f"{torch.backends.cpu.get_cpu_capability()} x {torch.get_num_threads()}"
    programs = " ".join(f"{name} {version(name)}" for name in ("dpo-tui", "transformers", "torch"))
    return f"{dtype} rounding {rounding.VERSION} {policy} {programs} {unit}"
