"""The processes that train together, one a device: what they say to each other. Alone, nothing is said."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch import Tensor

from engine.exits import EnvironmentUnfitError, StopRequested

T = TypeVar("T")

PATIENCE = timedelta(days=7)
"""How long one process waits for another that downloads or tokenises; if that one dies, the supervisor ends all."""


def _require_gpu() -> None:
    """Where there are GPUs, each process of a machine needs one of its own."""
    found, own = torch.cuda.device_count(), int(os.environ.get("LOCAL_RANK", "0"))
    if torch.cuda.is_available() and own >= found:
        raise EnvironmentUnfitError(
            "launch.few_gpus",
            f"launch.devices asks for {own + 1} GPUs or more, and this process can see {found}",
            asked=own + 1,
            found=found,
        )


class Processes:
    """This process among all, its rank, and its device. Every method that talks is called by all of them alike."""

    def __init__(self) -> None:
        """Meet the others, as many as the environment says there are.

        Raises EnvironmentUnfitError where there are GPUs, but none for this process.
        """
        _require_gpu()
        torch.use_deterministic_algorithms(
            torch.cuda.is_available(), warn_only=True
        )  # a CPU's are as they are
        self._state = PartialState(cpu=not torch.cuda.is_available())
        # Words go over the host's network: over NCCL each would wait for all that the GPU has been given to do.
        self._words = dist.new_group(backend="gloo", timeout=PATIENCE) if self.world > 1 else None

    @property
    def rank(self) -> int:
        """From 0."""
        return int(self._state.process_index)

    @property
    def world(self) -> int:
        """How many there are."""
        return int(self._state.num_processes)

    @property
    def device(self) -> torch.device:
        device: torch.device = self._state.device
        return device

    @property
    def leads(self) -> bool:
        """Whether this is rank 0, which alone writes what the run says of itself."""
        return self.rank == 0

    def require(self, expected: int) -> None:
        """Raise EnvironmentUnfitError unless there are as many as the config asks for."""
        if self.world != expected:
            raise EnvironmentUnfitError(
                "launch.world_size",
                f"{self.world} training processes came up where launch.devices asks for {expected}",
                found=self.world,
                expected=expected,
            )

    def share(self, value: T) -> T:
        """Rank 0's `value`, in every process."""
        if self._words is None:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self._words)
        return box[0]

    def agree(self, flag: bool) -> bool:
        """Rank 0's `flag`, in every process."""
        if self._words is None:
            return flag
        word = torch.tensor([flag], dtype=torch.uint8)
        dist.broadcast(word, src=0, group=self._words)
        return bool(word)

    def wait(self) -> None:
        """Until all are here."""
        if self._words is not None:
            dist.barrier(group=self._words)

    @contextmanager
    def first(self) -> Iterator[None]:
        """Rank 0 goes through the block alone, then all others at once: what it has made is there for them.

        Where it does not get through, the others raise StopRequested instead of waiting for what will never come.
        """
        if not self.leads:
            if not self.agree(False):
                raise StopRequested(
                    "run.stopped_early", "the first process did not get this far; see its log"
                )
            yield
            return
        through = False
        try:
            yield
            through = True
        finally:
            self.agree(through)

    def sum(self, values: Tensor) -> Tensor:
        """`values` summed over all processes."""
        return self._reduced(values, dist.ReduceOp.SUM)

    def largest(self, values: Tensor) -> Tensor:
        """The largest of each of `values` over all processes."""
        return self._reduced(values, dist.ReduceOp.MAX)

    def most(self, count: int) -> int:
        """The largest `count` of all processes."""
        return int(self.largest(torch.tensor(count, device=self.device)))

    def sum_in_place(self, values: Tensor) -> None:
        """As `sum`, written over `values`."""
        if self.world > 1:
            dist.all_reduce(values, op=dist.ReduceOp.SUM)

    def gather(self, values: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        """The `values` of each process, by rank: its first dimension is `sizes[rank]`, the others are alike."""
        if self.world == 1:
            return [values]
        room = values.new_zeros(max(sizes), *values.shape[1:])
        room[: len(values)] = values
        gathered = [torch.empty_like(room) for _ in sizes]
        dist.all_gather(gathered, room)
        return [part[:size] for part, size in zip(gathered, sizes, strict=True)]

    def close(self) -> None:
        """Part from the others: what follows is done by one alone."""
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def _reduced(self, values: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
        out = values.clone()
        if self.world > 1:
            dist.all_reduce(out, op=operation)
        return out
