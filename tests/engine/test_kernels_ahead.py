"""The CUDA kernels compiled for cards that are not here."""

import json
import os
import subprocess
import sys

import pytest

REPORT = """
import json
from dataclasses import asdict
from engine.kernels.ahead import compile_all
print(json.dumps([asdict(kernel) for dtype in ("bf16", "fp32") for kernel in compile_all(dtype)]))
"""


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """What the assembler says; in a process of its own, since kernels imported for the interpreter do not compile."""
    env = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    env["TRITON_CACHE_DIR"] = str(tmp_path_factory.mktemp("triton"))
    done = subprocess.run([sys.executable, "-c", REPORT], env=env, capture_output=True, text=True, check=True)
    report: list[dict[str, object]] = json.loads(done.stdout)
    return report


def test_every_kernel_compiles_for_both_cards_and_spills_nothing(kernels: list[dict[str, object]]) -> None:
    assert len(kernels) == 24
    assert {kernel["card"] for kernel in kernels} == {"A100", "H100"}
    assert [kernel for kernel in kernels if kernel["spilled_bytes"] != 0] == []


def test_registers_leave_room_for_two_blocks_on_a_processor(kernels: list[dict[str, object]]) -> None:
    """65,536 registers, 256 threads a block."""
    assert max(int(str(kernel["registers"])) for kernel in kernels) <= 65_536 // (2 * 256)
    assert max(int(str(kernel["shared_bytes"])) for kernel in kernels) <= 48 << 10
