"""How far bf16 training strays from fp32 training, with a rounding threshold for each weight and without.

    python benchmarks/bf16_rounding.py [--steps 8]

The built-in model is trained on the built-in pairs three times at the same settings: in fp32, in bf16 as the product
does it, and in bf16 with weights rounded to the nearest. Prints the reward margin of each step.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from engine import train
from engine.rundir.events import EventWriter, read_events
from engine.rundir.paths import RunDir

CONFIG = """
[model]
source = "builtin"
id = "smollm2-135m-instruct"
dtype = "{dtype}"
[data]
max_length = 256
max_prompt_length = 128
eval_fraction = 0.0
[[data.sources]]
source = "builtin"
path = "quickstart"
[optimizer]
learning_rate = {rate}
schedule = "constant"
warmup_ratio = 0.0
[train]
max_steps = {steps}
pairs_per_step = 8
tokens_per_pack = 2048
[export]
enabled = false
"""


def main() -> int:
    """Train three times and print the margins side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rate", type=float, default=3e-7)
    options = parser.parse_args()
    exact = margins("float32", options)
    threshold = margins("bfloat16", options)
    with nearest():
        plain = margins("bfloat16", options)
    print(
        f"reward margin at learning rate {options.rate:g}\n{'step':>4}  {'fp32':>9}  {'bf16':>9}  {'to nearest':>10}"
    )
    for step, row in enumerate(zip(exact, threshold, plain, strict=True), start=1):
        print(f"{step:>4}  {row[0]:>9.4f}  {row[1]:>9.4f}  {row[2]:>10.4f}")
    return 0


@contextmanager
def nearest() -> Iterator[None]:
    """Round weights as torch does."""
    plain = mock.patch("engine.optimizer.to_dtype", lambda weight, dtype: weight.to(dtype))
    other_reference = mock.patch("engine.rounding.VERSION", "to nearest")
    with plain, other_reference:
        yield


def margins(dtype: str, options: argparse.Namespace) -> list[float]:
    """The margin of each step of one training."""
    with tempfile.TemporaryDirectory() as folder:
        run = RunDir(Path(folder))
        run.config.write_text(CONFIG.format(dtype=dtype, steps=options.steps, rate=options.rate))
        with EventWriter(run.events) as events:
            train.run(run, events)
        return [event["rewards/margins"] for event in read_events(run.events) if event["type"] == "step"]


if __name__ == "__main__":
    sys.exit(main())
