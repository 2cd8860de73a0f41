"""Tokenised preference pairs on disk: written in batches, read through a memory map.

One pair is two whole sequences (prompt + completion) and the index at which each completion begins. The file
is an Arrow IPC file, so a hundred thousand pairs cost no more memory than the few that are being looked at.
"""

import hashlib
import os
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from engine.exits import UnusableError
from engine.rundir.files import writing

IntArray: TypeAlias = npt.NDArray[np.int32]

SCHEMA = pa.schema(
    [
        pa.field("chosen", pa.list_(pa.int32()), nullable=False),
        pa.field("rejected", pa.list_(pa.int32()), nullable=False),
        pa.field("chosen_start", pa.int32(), nullable=False),
        pa.field("rejected_start", pa.int32(), nullable=False),
        # Length of the common token prefix, so that planning never touches the tokens themselves.
        pa.field("shared", pa.int32(), nullable=False),
        pa.field("source", pa.int32(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
    ]
)

BATCH_PAIRS = 1024
BATCH_TOKENS = 1 << 20


@dataclass(frozen=True, slots=True)
class Pair:
    """Token ids of prompt + completion, twice, and where each completion starts (always >= 1)."""

    chosen: IntArray  # [prompt + chosen completion]
    rejected: IntArray  # [prompt + rejected completion]
    chosen_start: int
    rejected_start: int


def common_prefix(left: IntArray, right: IntArray) -> int:
    """How many leading tokens the two sequences have in common."""
    size = min(len(left), len(right))
    differs = left[:size] != right[:size]
    return int(differs.argmax()) if differs.any() else size


class PairWriter:
    """Streams pairs into `path`, which appears only when everything in it is on disk.

    Use as a context manager; leaving it with an exception removes what was written. A full or forbidden disk
    raises `CannotWriteError`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._staging = path.with_name(f".{path.name}.staging")
        self._pending: list[tuple[Pair, int, int]] = []
        self._pending_tokens = 0
        with writing(self._staging):
            self._file: IO[bytes] = self._staging.open("wb")
            self._sink: Any = pa.ipc.new_file(self._file, SCHEMA)

    def add(self, pair: Pair, source: int = 0, row: int = 0) -> None:
        """Append a pair; `source` and `row` say where it was read, for reports."""
        self._pending.append((pair, source, row))
        self._pending_tokens += len(pair.chosen) + len(pair.rejected)
        self.count += 1
        if len(self._pending) >= BATCH_PAIRS or self._pending_tokens >= BATCH_TOKENS:
            self._flush()

    def add_batch(self, batch: Any) -> None:
        """Append a record batch of `SCHEMA` as it is."""
        self._flush()
        self.count += batch.num_rows
        if batch.num_rows:
            with writing(self._staging):
                self._sink.write_batch(batch)

    def _flush(self) -> None:
        if not self._pending:
            return
        batch = _record_batch(self._pending)
        self._pending, self._pending_tokens = [], 0
        with writing(self._staging):
            self._sink.write_batch(batch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            with suppress(OSError):  # it tries once more to write what a full disk has refused, as was told
                self._file.close()
            self._staging.unlink(missing_ok=True)

    def _finish(self) -> None:
        self._flush()
        with writing(self._staging):
            self._sink.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            os.replace(self._staging, self.path)


def _record_batch(rows: list[tuple[Pair, int, int]]) -> Any:
    pairs = [pair for pair, _, _ in rows]
    columns = [
        _lists([pair.chosen for pair in pairs]),
        _lists([pair.rejected for pair in pairs]),
        as_arrow([pair.chosen_start for pair in pairs]),
        as_arrow([pair.rejected_start for pair in pairs]),
        as_arrow([common_prefix(pair.chosen, pair.rejected) for pair in pairs]),
        as_arrow([source for _, source, _ in rows]),
        as_arrow([row for _, _, row in rows], np.int64),
    ]
    return pa.record_batch(columns, schema=SCHEMA)


def as_arrow(numbers: npt.ArrayLike, kind: type[np.integer[Any]] = np.int32) -> Any:
    """Numbers as an Arrow array. `pa.array` and `to_numpy` import pandas: a seventh of a second and 20 MiB."""
    values = np.asarray(numbers, dtype=kind)
    return pa.Array.from_buffers(pa.from_numpy_dtype(kind), len(values), [None, pa.py_buffer(values)])


def _as_numpy(column: Any) -> npt.NDArray[Any]:
    """The numbers of an Arrow array without nulls, not copied and not to be written to."""
    kind = np.dtype(column.type.to_pandas_dtype())
    return np.frombuffer(column.buffers()[1], kind, len(column), column.offset * kind.itemsize)


def _lists(sequences: list[IntArray]) -> Any:
    offsets = np.zeros(len(sequences) + 1, dtype=np.int32)
    np.cumsum([len(sequence) for sequence in sequences], out=offsets[1:])
    return pa.ListArray.from_arrays(as_arrow(offsets), as_arrow(np.concatenate(sequences)))


class _Batch:
    """The columns of one record batch as numpy views on the memory map."""

    __slots__ = ("chosen", "chosen_start", "origin", "rejected", "rejected_start", "shared")

    def __init__(self, batch: Any) -> None:
        self.chosen = _views(batch.column("chosen"))
        self.rejected = _views(batch.column("rejected"))
        self.chosen_start: IntArray = _as_numpy(batch.column("chosen_start"))
        self.rejected_start: IntArray = _as_numpy(batch.column("rejected_start"))
        self.shared: IntArray = _as_numpy(batch.column("shared"))
        self.origin = (_as_numpy(batch.column("source")), _as_numpy(batch.column("row")))

    def pair(self, index: int) -> Pair:
        return Pair(
            chosen=_slice(self.chosen, index),
            rejected=_slice(self.rejected, index),
            chosen_start=int(self.chosen_start[index]),
            rejected_start=int(self.rejected_start[index]),
        )

    def lengths(self) -> IntArray:
        columns = (
            np.diff(self.chosen[0]),
            np.diff(self.rejected[0]),
            self.chosen_start,
            self.rejected_start,
            self.shared,
        )
        return np.stack(columns, axis=1).astype(np.int32, copy=False)


def _views(column: Any) -> tuple[IntArray, IntArray]:
    """Offsets [n + 1] and all token ids of a list column, without copying."""
    return _as_numpy(column.offsets), _as_numpy(column.values)


def _slice(column: tuple[IntArray, IntArray], index: int) -> IntArray:
    offsets, values = column
    return values[offsets[index] : offsets[index + 1]]


class PairStore:
    """Pairs in a file, by index. The arrays handed out are read-only views on the file."""

    def __init__(self, path: Path, batches: list[_Batch]) -> None:
        self.path = path
        self._batches = batches
        self._ends = list(accumulate(len(batch.shared) for batch in batches))

    @classmethod
    def open(cls, path: Path) -> "PairStore":
        """Map a file that `PairWriter` wrote. Raises `UnusableError` for anything else."""
        try:
            reader = pa.ipc.open_file(pa.memory_map(os.fspath(path)))
            if not reader.schema.equals(SCHEMA):
                raise pa.ArrowInvalid("its columns are not those of prepared pairs")
            batches = [_Batch(reader.get_batch(i)) for i in range(reader.num_record_batches)]
        except (OSError, pa.ArrowException) as error:
            text = f"{path}: not readable as prepared pairs ({error}). Delete it: it is made again."
            raise UnusableError("data.store_broken", text, path=str(path), detail=str(error)) from error
        return cls(path, batches)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _locate(self, index: int) -> tuple[_Batch, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"pair {index} of {len(self)}")
        number = bisect_right(self._ends, index)
        return self._batches[number], index - (self._ends[number - 1] if number else 0)

    def __getitem__(self, index: int) -> Pair:
        batch, at = self._locate(index)
        return batch.pair(at)

    def origin(self, index: int) -> tuple[int, int]:
        """Where the pair was read: index of the source in the config, and of its candidates which, from 1."""
        batch, at = self._locate(index)
        source, row = batch.origin
        return int(source[at]), int(row[at])

    def lengths(self) -> IntArray:
        """[n, 5]: len(chosen), len(rejected), chosen_start, rejected_start, common prefix of the two."""
        if not self._batches:
            return np.zeros((0, 5), dtype=np.int32)
        return np.concatenate([batch.lengths() for batch in self._batches])

    def sources(self) -> IntArray:
        """[n]: index of the source in the config that each pair was read from."""
        if not self._batches:
            return np.zeros(0, dtype=np.int32)
        return np.concatenate([batch.origin[0] for batch in self._batches])

    def highest_id(self) -> int:
        """The largest token id in any pair."""
        sides = [values for batch in self._batches for _, values in (batch.chosen, batch.rejected)]
        return max(int(values.max()) for values in sides)

    def digest(self) -> str:
        """Sha256 over what training sees (tokens and starts), however it was cut into batches."""
        columns = [hashlib.sha256() for _ in range(6)]
        for batch in self._batches:
            parts = (
                *_list_parts(batch.chosen),
                *_list_parts(batch.rejected),
                batch.chosen_start,
                batch.rejected_start,
            )
            for column, part in zip(columns, parts, strict=True):
                column.update(np.ascontiguousarray(part, dtype="<i4").data)
        return hashlib.sha256(b"".join(column.digest() for column in columns)).hexdigest()


def _list_parts(column: tuple[IntArray, IntArray]) -> tuple[IntArray, IntArray]:
    offsets, values = column
    return np.diff(offsets), values[offsets[0] : offsets[-1]]
