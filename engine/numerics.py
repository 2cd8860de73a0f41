"""What numbers are on this machine: the types it is fast in, and all that decides how the same computation rounds."""

from importlib.metadata import version

import torch

from engine import rounding
from engine.precision import processor_has_bf16


def device_has_bf16() -> bool:
    """Whether the device that trains here has instructions for bf16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return processor_has_bf16()


def numerics(dtype: torch.dtype, policy: str) -> str:
    """The numerics of this machine and these programs, for a policy that computes in `dtype` in the way it names.

    Two equal strings mean that the same weights and tokens have comparable log-probabilities.
    """
    if torch.cuda.is_available():
        unit = torch.cuda.get_device_name()
    else:
        unit = f"{torch.backends.cpu.get_cpu_capability()} x {torch.get_num_threads()}"
    programs = " ".join(f"{name} {version(name)}" for name in ("dpo-tui", "transformers", "torch"))
    return f"{dtype} rounding {rounding.VERSION} {policy} {programs} {unit}"
