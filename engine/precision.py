"""Which type of number a model computes in, where a config leaves that to the machine."""

from functools import cache
from pathlib import Path
from typing import Literal

Computing = Literal["bfloat16", "float32"]

CPUINFO = Path("/proc/cpuinfo")
INSTRUCTIONS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""A processor's own names, x86 and ARM, for products of bf16 numbers. Without them one takes 70 times as long."""


def computing_type(asked: Literal["auto"] | Computing, *, fast_bf16: bool) -> Computing:
    """What a model computes in; `fast_bf16` is whether the device has instructions for it."""
    if asked != "auto":
        return asked
    return "bfloat16" if fast_bf16 else "float32"


@cache
def processor_has_bf16() -> bool:
    """Whether this machine's processor has instructions for bf16."""
    try:
        return has_bf16(CPUINFO.read_text(encoding="ascii", errors="replace"))
    except OSError:
        return False


def has_bf16(cpuinfo: str) -> bool:
    """Whether the first processor of a /proc/cpuinfo lists them."""
    for line in cpuinfo.splitlines():
        name, _, words = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return not INSTRUCTIONS.isdisjoint(words.split())
    return False
