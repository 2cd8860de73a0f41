"""A pack as tensors: several pairs in one sequence, each pair's common prefix computed once.

A pair is a *trunk* (the chosen sequence) and a *branch* (the rejected one from where the two part)::

    tokens     [ common prefix | rest of chosen | rest of rejected ] [ next pair ...
    positions    0 ...       m   m+1 ...          m ...               0 ...

The branch attends to the prefix in the trunk and to itself. When nothing is shared, the branch starts at position 0
and is a sequence of its own. A sequence's last token is only ever a target, so it is not fed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.prepared.pairs import IntArray, Pair, common_prefix

if TYPE_CHECKING:
    from engine.parallel.team import Team


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows `[start, stop)` of a pack that attend causally to themselves, after keys `[prefix, prefix + shared)`."""

    start: int
    stop: int
    prefix: int = 0
    shared: int = 0

    @property
    def length(self) -> int:
        return self.stop - self.start


class SegmentTable:
    """The segments of a pack as attention takes them: by name and as a table.

    Two tables are never equal, so that code compiled for one pack depends on nothing that the next one has otherwise.
    """

    def __init__(self, segments: Sequence[Segment], native: bool = False) -> None:
        """`native` says that the CPU's own kernel is to be used."""
        self.segments = tuple(segments)
        self.native = native
        self.team: Team | None = None
        """The processes that share the pack's tokens; None where one has them all."""
        rows = [(s.start, s.stop, s.prefix, s.shared) for s in self.segments]
        self.bounds = torch.tensor(rows, dtype=torch.int64).reshape(-1, 4)  # [S, 4] on the CPU


@dataclass(frozen=True, slots=True, kw_only=True)
class PackLayout:
    """One forward pass. T input tokens, N scored rows, 2B sequences (chosen at 2i, rejected at 2i + 1)."""

    input_ids: Tensor  # [1, T] int64
    position_ids: Tensor  # [1, T] int64
    rows: Tensor  # [N] index of the token whose hidden state predicts the target
    targets: Tensor  # [N] token predicted
    lengths: Tensor  # [2B] scored tokens of each sequence, fp32
    counts: tuple[int, ...]  # `lengths` as numbers
    table: SegmentTable

    @property
    def segments(self) -> tuple[Segment, ...]:
        return self.table.segments

    @property
    def tokens(self) -> int:
        return int(self.input_ids.shape[1])

    @property
    def is_chosen(self) -> Tensor:
        """[N] True for the rows of chosen completions."""
        counts = torch.tensor(self.counts)
        chosen = torch.arange(len(counts)) % 2 == 0
        return chosen.repeat_interleave(counts).to(self.rows.device)

    def to(self, device: torch.device) -> "PackLayout":
        """The same pack with its tensors on `device`."""
        return PackLayout(
            input_ids=self.input_ids.to(device),
            position_ids=self.position_ids.to(device),
            rows=self.rows.to(device),
            targets=self.targets.to(device),
            lengths=self.lengths.to(device),
            counts=self.counts,
            table=self.table,
        )


def lay_out(pairs: Sequence[Pair], share_prefix: bool = True, native: bool = False) -> PackLayout:
    """Build the pack of `pairs`, sharing each pair's common prefix unless told not to."""
    builder = _Builder()
    for pair in pairs:
        shared = common_prefix(pair.chosen[:-1], pair.rejected[:-1]) if share_prefix else 0
        trunk = builder.add(pair.chosen, pair.chosen_start, prefix=0, shared=0)
        builder.add(pair.rejected, pair.rejected_start, prefix=trunk, shared=shared)
    return builder.finish(native)


class _Builder:
    """Grows the columns of a pack sequence by sequence."""

    def __init__(self) -> None:
        self.size = 0
        self.ids: list[IntArray] = []
        self.positions: list[NDArray[np.int64]] = []
        self.rows: list[NDArray[np.int64]] = []
        self.targets: list[IntArray] = []
        self.segments: list[Segment] = []

    def add(self, ids: IntArray, start: int, prefix: int, shared: int) -> int:
        """Append a sequence whose first `shared` tokens already stand at `prefix`; returns where it starts."""
        begin = self.size
        own = ids[shared:-1]
        self.ids.append(own)
        self.positions.append(np.arange(shared, shared + len(own)))
        self.size += len(own)
        if len(own):
            self.segments.append(Segment(begin, self.size, prefix, shared))
        predicting = np.arange(start - 1, len(ids) - 1)  # position p predicts token p + 1
        in_prefix = predicting < shared
        self.rows.append(np.where(in_prefix, prefix + predicting, begin + predicting - shared))
        self.targets.append(ids[start:])
        return begin

    def finish(self, native: bool) -> PackLayout:
        lengths = [len(targets) for targets in self.targets]
        return PackLayout(
            input_ids=_tensor(self.ids)[None],
            position_ids=_tensor(self.positions)[None],
            rows=_tensor(self.rows),
            targets=_tensor(self.targets),
            lengths=torch.tensor(lengths, dtype=torch.float32),
            counts=tuple(lengths),
            table=SegmentTable(self.segments, native),
        )


def _tensor(parts: Sequence[NDArray[np.int64] | IntArray]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.int64))


@dataclass(frozen=True, slots=True)
class VarlenIndex:
    """What variable-length attention kernels take: query and key boundaries, and the keys each segment gathers."""

    query_bounds: Tensor  # [S + 1] int32
    key_bounds: Tensor  # [S + 1] int32
    keys: Tensor  # [K] index into the pack
    longest_query: int
    longest_key: int


@lru_cache(maxsize=2)  # every layer of a pass asks for the same
def varlen_index(segments: tuple[Segment, ...], device: torch.device) -> VarlenIndex:
    """Boundaries with the causal rule aligned at the end: a segment's last query sees all its keys."""
    queries = [segment.length for segment in segments]
    keys = [segment.shared + segment.length for segment in segments]
    gathered = [
        torch.cat([torch.arange(s.prefix, s.prefix + s.shared), torch.arange(s.start, s.stop)])
        for s in segments
    ]
    return VarlenIndex(
        query_bounds=_bounds(queries, device),
        key_bounds=_bounds(keys, device),
        keys=torch.cat(gathered).to(device),
        longest_query=max(queries),
        longest_key=max(keys),
    )


def _bounds(lengths: Sequence[int], device: torch.device) -> Tensor:
    return torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32, device=device)
