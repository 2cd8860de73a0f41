"""Processes that compute each pack together, a share of its tokens each: for pairs too long for one device.

As in DeepSpeed-Ulysses (Jacobs et al. 2023, arXiv:2309.14509): every layer works on a process's own tokens, but for
attention, before which the processes exchange tokens for heads, and after which they exchange them back. So each
attends to the whole pack with some of the heads, by the very back end that a process alone has. The heads are
exchanged by DeepSpeed's own `DistributedAttention`.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

if TYPE_CHECKING:
    from engine.parallel.processes import Processes

LocalAttention = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From query [1, Hq, T, D], key and value [1, Hk, T, D] to [1, T, Hq, D]."""


class Team:
    """This process among the `size` that work on the same packs; alone with a size of 1."""

    def __init__(self, processes: "Processes", size: int = 1) -> None:
        """Called by all processes alike."""
        self.size = size
        self._processes = processes
        self.share, self.index = divmod(processes.rank, size)
        self.shares = processes.world // size
        """How many teams there are, and so how many packs are computed at a time."""
        self._group = dist.group.WORLD if size == processes.world else None
        for first in range(0, processes.world, size) if 1 < size < processes.world else ():
            ranks = list(range(first, first + size))
            group = dist.new_group(ranks)
            if processes.rank in ranks:
                self._group = group
        if size > 1:
            import deepspeed

            deepspeed.init_distributed(verbose=False)  # gives DeepSpeed the process group there is

    @property
    def first(self) -> bool:
        """Whether this process speaks for its team: what all of them know is counted once."""
        return self.index == 0

    def gather(self, rows: Tensor, counts: Sequence[int]) -> list[Tensor]:
        """What each team has computed, known to all: of team i the first `counts[i]` rows, of those left out none.

        All of a team know the same; its first process tells it.
        """
        sizes = [0] * self._processes.world
        sizes[: len(counts) * self.size : self.size] = counts
        return self._processes.gather(rows[: sizes[self._processes.rank]], sizes)[:: self.size]

    def padded(self, tokens: int) -> int:
        """So many tokens, and as many more as make them divisible."""
        return -(-tokens // self.size) * self.size

    def own(self, tokens: int) -> tuple[int, int]:
        """Where this process's share of a pack begins and ends, the padding at its end included."""
        length = self.padded(tokens) // self.size
        return self.index * length, (self.index + 1) * length

    def part(self, tensor: Tensor) -> Tensor:
        """This process's part of [1, T] tokens or positions, the last filled up with zeros."""
        tokens = tensor.shape[1]
        start, stop = self.own(tokens)
        return F.pad(tensor, (0, self.padded(tokens) - tokens))[:, start:stop]

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def attend(self, local: LocalAttention, query: Tensor, key: Tensor, value: Tensor, tokens: int) -> Tensor:
        """Attention of this process's tokens, [1, H, T / size, D] each, to all: [1, T / size, Hq, D].

        `size` must divide the query heads Hq; keys and values have as many or a part of them.
        """
        from deepspeed.sequence.layer import DistributedAttention

        def whole(q: Tensor, k: Tensor, v: Tensor, *_: Any) -> Tensor:
            q, k, v = (x[:, :tokens].transpose(1, 2).contiguous() for x in (q, k, v))
            return F.pad(local(q, k, v), (0, 0, 0, 0, 0, self.padded(tokens) - tokens))

        if key.shape[1] % self.size:  # too few to divide: one for each query head
            groups = query.shape[1] // key.shape[1]
            key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
        exchange = DistributedAttention(whole, self._group, scatter_idx=2, gather_idx=1)
        out: Tensor = exchange(*(x.transpose(1, 2).contiguous() for x in (query, key, value)), 0)
        return out

    def sum(self, part: Tensor) -> Tensor:
        """The parts of all in the team, summed. Each goes on with its own part's gradient."""
        return part if self.size == 1 else _Sum.apply(part, self._group)  # type: ignore[no-untyped-call]


class _Sum(torch.autograd.Function):
    """The sum over a group, whose terms each process differentiates alone: all of them know its gradient."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, group: dist.ProcessGroup) -> Tensor:  # noqa: ARG004
        total = part.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return gradients[0], None
