"""The half of `benchmarks.llamafactory_peer` that runs where LLaMA-Factory is installed, and nothing of this product.

    python -m benchmarks.llamafactory_side SETTINGS.json

Prints what it measured as a line of JSON: seconds of each step, their losses, the peak of resident memory.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from llamafactory.train.tuner import run_exp
from transformers import TrainerCallback

from benchmarks.machine import gemm_rate, peak_gib


class Clock(TrainerCallback):  # type: ignore[misc]
    """Times every step, and the machine's rate before the first."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.start = self.began = time.perf_counter()
        self.before = self.gemm = 0.0
        self.steps: list[float] = []
        self.losses: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.before = time.perf_counter() - self.start
        self.gemm = gemm_rate(self.dtype)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.steps.append(time.perf_counter() - self.began)

    def on_log(self, *_: Any, logs: dict[str, float] | None = None, **__: Any) -> None:
        if logs and "loss" in logs:
            self.losses.append(logs["loss"])


def main() -> int:
    """Train as the settings say."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    clock = Clock("bfloat16" if settings["bf16"] else "float32")
    run_exp(args=settings, callbacks=[clock])
    result = {key: getattr(clock, key) for key in ("steps", "losses", "before")}
    print(json.dumps({**result, "peak_gib": peak_gib(), "gemm": max(clock.gemm, gemm_rate(clock.dtype))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
