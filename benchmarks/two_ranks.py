"""Two processes of one thread each against one: how much faster, by every strategy, and how much of a step is talk.

    python -m benchmarks.two_ranks [--steps 12] [--strategies ddp,zero2,zero3] [--json]

The built-in model in fp32 on its built-in pairs, 8 pairs a step; every process on one thread, the ways one after the
other. `seconds` is the median step but the first two. `talk` is the share of rank 0's step spent in collective
collective operations, waiting for the other rank included.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from engine.launch.ranks import free_port
from engine.rundir.events import read_events
from engine.rundir.paths import RunDir

CONFIG = """
[model]
source = "builtin"
id = "smollm2-135m-instruct"
dtype = "float32"
[data]
eval_fraction = 0.0
[[data.sources]]
source = "builtin"
path = "quickstart"
[train]
max_steps = {steps}
pairs_per_step = 8
compile = "off"
save_every = 100000
[launch]
devices = {devices}
strategy = "{strategy}"
[export]
enabled = false
"""
WARM_UP = 2
TALK = "talk.json"
OPERATIONS = (
    "all_reduce", "all_gather", "all_gather_into_tensor", "reduce_scatter_tensor", "reduce", "broadcast", "barrier",
)  # fmt: skip


def main() -> int:
    """Run every way and print the table."""
    options = parse()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for strategy in ("single", *options.strategies.split(",")):
            print(strategy, file=sys.stderr, flush=True)
            rows.append(measured(Path(folder), strategy, options.steps))
    first = rows[0]["seconds"]
    print(f"{'':<10} {'seconds':>8} {'faster':>7} {'talk':>6}")
    for row in rows:
        print(f"{row['name']:<10} {row['seconds']:>8.2f} {first / row['seconds']:>6.2f}x {row['talk']:>6.1%}")
    if options.json:
        print(json.dumps(rows))
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--strategies", default="ddp,zero2,zero3", help="with commas between them")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def measured(folder: Path, strategy: str, steps: int) -> dict[str, Any]:
    """Seconds of a step, and the share of the training that rank 0 talks."""
    world = 1 if strategy == "single" else 2
    run = RunDir(folder / strategy)
    run.root.mkdir()
    run.config.write_text(CONFIG.format(steps=steps, devices=world, strategy=strategy))
    port = free_port()
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.two_ranks", "--rank", str(run.root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=rank_environment(rank, world, port),
            text=True,
        )
        for rank in range(world)
    ]
    said = [rank.communicate()[0] for rank in ranks]
    if any(rank.returncode for rank in ranks):
        sys.exit("\n".join(said)[-4000:])
    times = [event["time"] for event in read_events(run.events) if event["type"] == "step"]
    each = [after - before for before, after in pairwise(times)][WARM_UP - 1 :]
    talk = json.loads((run.root / TALK).read_text())[WARM_UP:]
    return {
        "name": strategy,
        "seconds": statistics.median(each),
        "talk": statistics.median(talk) / statistics.median(each),
    }


def rank_environment(rank: int, world: int, port: int) -> dict[str, str]:
    """What a rank finds in its environment: one thread, and where the others are."""
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)} if world > 1 else {}
    number = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)} if world > 1 else {}
    return {**os.environ, "OMP_NUM_THREADS": "1", **number, **meeting}


# In a rank


class Talk:
    """Seconds this process has spent in collective operations, waiting for the other included."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.steps: list[float] = []

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, and the wait for what it returns, on the clock."""

        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            out = function(*args, **kwargs)
            self.seconds += time.perf_counter() - start
            return Handle(out, self) if hasattr(out, "wait") else out

        return call


class Handle:
    """The handle of an operation under way, whose wait is on the clock."""

    def __init__(self, work: Any, talk: Talk) -> None:
        self._work, self._talk = work, talk

    def wait(self, *args: Any) -> Any:
        start = time.perf_counter()
        out = self._work.wait(*args)
        self._talk.seconds += time.perf_counter() - start
        return out

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)


def rank(root: Path) -> int:
    """Train, with a clock around every operation of torch.distributed."""
    import torch.distributed as dist

    from engine import train
    from engine.trainer import Trainer

    talk, step = Talk(), Trainer.step
    for name in OPERATIONS:
        setattr(dist, name, talk.timed(getattr(dist, name)))

    def timed_step(self: Trainer, plan: Any) -> Any:
        talk.seconds = 0.0
        out = step(self, plan)
        talk.steps.append(talk.seconds)
        return out

    Trainer.step = timed_step  # type: ignore[method-assign]
    code = train.main(root)
    if train.rank() == 0:
        (root / TALK).write_text(json.dumps(talk.steps))
    return int(code)


if __name__ == "__main__":
    sys.exit(rank(Path(sys.argv[2])) if sys.argv[1:2] == ["--rank"] else main())
