"""One of the processes that train several runs, one after the other: started once, so that libraries load once.

    RANK=0 WORLD_SIZE=2 ... python -m tests.engine.ranks RUN [RUN ...]

Exits with the first code that is not the one expected.
"""

import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate.state import AcceleratorState
from torch import Tensor

from engine import train
from engine.coupled import Pull
from engine.exits import Exit
from engine.launch.ranks import free_port
from engine.layout import PackLayout
from engine.parallel.processes import Processes
from engine.parallel.zero import Zero
from engine.plan import Pack, StepPlan
from engine.policy import Policy
from engine.process import parent_death_signal
from engine.rundir.paths import RunDir
from engine.trainer import Trainer

POISONED = "poisoned-"
"""How the names of runs begin in which the gradients of rank 1 are not finite in one step, though its losses are."""
POISONED_STEP = 16
BROKEN = "broken-"
"""How the names of runs begin whose model runs no packs."""
PACKED = Policy._packed


def environment(rank: int, world: int, port: int) -> dict[str, str]:
    """What a rank finds in its environment, as the supervisor writes it."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    return {**os.environ, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), **where}


def train_together(runs: list[RunDir]) -> None:
    """Train the runs by two processes; those that are poisoned must end so.

    Raises AssertionError with what they said when one does not.
    """
    codes, said = tried_together(runs)
    assert codes == [0, 0], said


def tried_together(runs: list[RunDir]) -> tuple[list[int], str]:
    """The exit codes of two processes that train the runs until one fails, and what they said."""
    port, argv = free_port(), [str(run.root) for run in runs]
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.engine.ranks", *argv],
            env=environment(rank, 2, port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    said = [rank.communicate(timeout=1200)[0] for rank in ranks]
    return [rank.returncode for rank in ranks], "\n".join(text[-9000:] for text in said)


def _stay(self: Processes) -> None:
    """Instead of parting: there is another run to train."""


def _poison() -> None:
    """Have the trainer of this process poison its runs that are to be."""
    pack, packs = Trainer._pack, Trainer._packs

    def poisoned(self: Trainer, pairs: Pack, weight: float, pull: Pull | None = None) -> Tensor:
        return pack(self, pairs, math.inf, pull)

    def poison(self: Trainer, plan: StepPlan, pulls: Sequence[Pull | None]) -> Tensor:
        due = plan.step == POISONED_STEP and (self.config.run.name or "").startswith(POISONED)
        Trainer._pack = poisoned if due else pack  # type: ignore[method-assign, assignment]
        return packs(self, plan, pulls)

    Trainer._packs = poison  # type: ignore[method-assign]


def _break(root: Path) -> None:
    """Have packs break off within the model, between two layers, in a run whose name says so."""

    def broken(self: Policy, pack: PackLayout) -> Tensor:
        layer = self.base.get_decoder().layers[1]
        hook = layer.register_forward_pre_hook(_break_off)
        try:
            return PACKED(self, pack)
        finally:
            hook.remove()

    Policy._packed = broken if root.name.startswith(BROKEN) else PACKED  # type: ignore[method-assign]


def _break_off(*_: object) -> None:
    raise RuntimeError("broken off")


def _require_division() -> None:
    """Fail where ZeRO 3 is given a weight that is whole: a device may not have the room for all of them."""
    make = Zero.__init__

    def checked(self: Zero, policy: Policy, *more: Any) -> None:
        *_, deepspeed, _ = more
        whole = sum(weight.numel() for weight in policy.parameters())
        assert (whole == 0) is (deepspeed["zero_optimization"]["stage"] == 3)
        make(self, policy, *more)

    Zero.__init__ = checked  # type: ignore[method-assign, assignment]


def main() -> int:
    """Train all of them in this process; they meet the others once."""
    parent_death_signal()
    Processes.close = _stay  # type: ignore[method-assign]
    _require_division()
    if os.environ["RANK"] == "1":
        _poison()
    for root in sys.argv[1:]:
        _break(Path(root))
        code = train.main(Path(root))
        expected = Exit.NON_FINITE if Path(root).name.startswith(POISONED) else Exit.DONE
        if code is not expected:
            return int(code) or 1
        AcceleratorState._reset_state()
    return 0


if __name__ == "__main__":
    sys.exit(main())
