"""One of the processes that train several runs, one after the other: started once, so that libraries load once.

    RANK=0 WORLD_SIZE=2 ... python -m tests.engine.ranks RUN [RUN ...]

Exits with the first code that is not 0.
"""

import math
import os
import subprocess
import sys
from pathlib import Path

from accelerate.state import AcceleratorState
from torch import Tensor

from engine import train
from engine.exits import Exit
from engine.launch.ranks import free_port
from engine.parallel.processes import Processes
from engine.plan import Pack, StepPlan
from engine.process import parent_death_signal
from engine.rundir.paths import RunDir
from engine.trainer import Trainer

POISONED = "TEST_POISONED_STEP"


def environment(rank: int, world: int, port: int) -> dict[str, str]:
    """What a rank finds in its environment, as the supervisor writes it."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    return {**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), **where}


def train_together(runs: list[RunDir]) -> None:
    """Train the runs by two processes. Raises AssertionError with what they said when one fails."""
    codes, said = tried_together(runs)
    assert codes == [0, 0], said


def tried_together(runs: list[RunDir], poisoned: int = 0) -> tuple[list[int], str]:
    """The exit codes of two processes that train the runs until one fails, and what they said.

    In step `poisoned` the gradients of rank 1 are not finite, though its losses are.
    """
    port, argv = free_port(), [str(run.root) for run in runs]
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.engine.ranks", *argv],
            env={**environment(rank, 2, port), POISONED: str(poisoned)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    said = [rank.communicate(timeout=300)[0] for rank in ranks]
    return [rank.returncode for rank in ranks], "\n".join(text[-3000:] for text in said)


def _stay(self: Processes) -> None:
    """Instead of parting: there is another run to train."""


def _poison(step: int) -> None:
    pack, packs = Trainer._pack, Trainer._packs

    def poisoned(self: Trainer, pairs: Pack, weight: float) -> Tensor:
        return pack(self, pairs, math.inf)

    def poison(self: Trainer, plan: StepPlan) -> Tensor:
        Trainer._pack = poisoned if plan.step == step else pack  # type: ignore[method-assign, assignment]
        return packs(self, plan)

    Trainer._packs = poison  # type: ignore[method-assign]


def main() -> int:
    """Train all of them in this process; they meet the others once."""
    parent_death_signal()
    Processes.close = _stay  # type: ignore[method-assign]
    if os.environ["RANK"] == "1":
        _poison(int(os.environ[POISONED]))
    for root in sys.argv[1:]:
        code = train.main(Path(root))
        if code is not Exit.DONE:
            return int(code)
        AcceleratorState._reset_state()
    return 0


if __name__ == "__main__":
    sys.exit(main())
