"""The CUDA kernels compiled ahead of time, for cards that are not there: what registers and memory they take.

Triton brings its own assembler, so a machine without a GPU can tell whether a kernel still compiles for one and whether
it spills. Run as a command it prints a table: `python -m engine.kernels.ahead`.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.backends.nvidia.compiler import get_ptxas
from triton.compiler import ASTSource

from engine.kernels.triton_fold import BLOCK, WARPS, fold_kernel, slope_kernel

ARCHITECTURES = {"A100": 80, "H100": 90}
"""Cards by name, and their compute capability times ten."""

_TILE = {"stride": "i32", "columns": "i32", "scale": "fp32", "softcap": "fp32"}
_FOLD = {"targets": "*i64", "lse": "*fp32", "picked": "*fp32", "entropy": "*fp32", "top": "*fp32"}
_SLOPE = {"lse": "*fp32", "targets": "*i64", "upstream": "*fp32"}
_SWITCHES = ({"CAPPED": False}, {"CAPPED": True})


@dataclass(frozen=True, slots=True)
class Compiled:
    """One kernel for one card."""

    name: str
    card: str
    registers: int
    """Of a thread, at most 255."""
    spilled_bytes: int
    """What a thread keeps in memory because registers ran out."""
    shared_bytes: int
    """Of a block of threads."""


def compile_all(dtype: str = "bf16") -> list[Compiled]:
    """Every kernel with every switch, for every card. `dtype` is Triton's name of the type of the logits."""
    built = []
    for card, capability in ARCHITECTURES.items():
        for switches in _SWITCHES:
            for stats in (False, True):
                options = {**switches, "STATS": stats, "BLOCK": BLOCK}
                built.append(
                    _compile(
                        fold_kernel, {"logits": f"*{dtype}", **_FOLD, **_TILE}, options, card, capability
                    )
                )
            options = {**switches, "BLOCK": BLOCK}
            built.append(
                _compile(slope_kernel, {"logits": f"*{dtype}", **_SLOPE, **_TILE}, options, card, capability)
            )
    return built


def _compile(
    kernel: Any, signature: dict[str, str], constants: dict[str, Any], card: str, capability: int
) -> Compiled:
    source = ASTSource(
        fn=kernel, signature=signature | dict.fromkeys(constants, "constexpr"), constexprs=constants
    )
    options = {"num_warps": WARPS, "enable_fp_fusion": True}
    binary = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    said = _assemble(binary.asm["ptx"], capability)
    on = [name for name, value in constants.items() if value is True]
    return Compiled(
        name=" ".join([kernel.fn.__name__, *on]),
        card=card,
        registers=_number(r"Used (\d+) registers", said),
        spilled_bytes=_number(r"(\d+) bytes spill stores", said) + _number(r"(\d+) bytes spill loads", said),
        shared_bytes=int(binary.metadata.shared),
    )


def _assemble(ptx: str, capability: int) -> str:
    """What the assembler says of a kernel."""
    architecture = re.search(r"^\.target (sm_\w+)", ptx, re.MULTILINE)
    assert architecture is not None
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx)
        command = [
            get_ptxas(capability).path,
            "-v",
            f"-arch={architecture[1]}",
            str(source),
            "-o",
            f"{folder}/kernel",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stderr + done.stdout


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    assert found is not None, f"the assembler says nothing of {pattern}: {text}"
    return int(found[1])


def table(built: list[Compiled]) -> str:
    """One line a kernel."""
    lines = [f"{'kernel':<32} {'card':<6} {'registers':>9} {'spilled':>8} {'shared':>7}"]
    lines += [
        f"{k.name:<32} {k.card:<6} {k.registers:>9} {k.spilled_bytes:>8} {k.shared_bytes:>7}" for k in built
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(compile_all()))
