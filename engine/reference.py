"""Log-probabilities under the reference, computed once a pair and kept on disk by content.

A pair's key is made of its tokens; the folder's name of the reference weights and of the numerics. So a cache survives
another order, mix, learning rate or beta, and can never answer for other weights or another rounding.

What is known lies in *segments*: files written once beside and renamed, so that several runs can share a cache and none
can see half an entry. A segment is sorted by key and memory-mapped: a million pairs are 24 MB that processes share, and
of them only the pages that are asked for are read. When there are many, they are merged into one.
"""

import hashlib
import os
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from engine.data.prepared.pairs import Pair
from engine.exits import CannotWriteError

MAGIC = b"dpo-ref1"
ENTRY_BYTES = 24
"""Two halves of a key, eight bytes each, and two fp32 numbers."""
MOST_SEGMENTS = 16
"""More are merged when the cache is loaded."""

Values = NDArray[np.float32]  # [n, 2]: chosen, rejected


def pair_key(pair: Pair) -> bytes:
    """16 bytes that stand for a pair's tokens and boundaries."""
    digest = hashlib.blake2b(digest_size=16)
    for ids, start in ((pair.chosen, pair.chosen_start), (pair.rejected, pair.rejected_start)):
        digest.update(np.array([start, len(ids)], dtype="<i4").tobytes())
        digest.update(np.ascontiguousarray(ids, dtype="<i4").tobytes())
    return digest.digest()


def cache_folder(fingerprint: str, numerics: str) -> Path:
    """Where the entries of one reference under one rounding live."""
    name = hashlib.blake2b(f"{fingerprint}\n{numerics}".encode(), digest_size=16).hexdigest()
    return Path(platformdirs.user_cache_dir("dpo-tui")) / "reference" / name


@dataclass(frozen=True, slots=True)
class _Segment:
    """n entries on disk, ascending by the first half of their keys."""

    high: NDArray[np.uint64]  # [n]
    low: NDArray[np.uint64]  # [n]
    values: Values

    @classmethod
    def open(cls, path: Path) -> "_Segment":
        """Map a file. Raises ValueError for what is no whole segment."""
        size = path.stat().st_size - len(MAGIC)
        if size <= 0 or size % ENTRY_BYTES:
            raise ValueError("not a segment of this cache")
        data = np.memmap(path, dtype=np.uint8, mode="r")
        if data[: len(MAGIC)].tobytes() != MAGIC:
            raise ValueError("not a segment of this cache")
        count, body = size // ENTRY_BYTES, data[len(MAGIC) :]
        high, low = body[: 8 * count].view("<u8"), body[8 * count : 16 * count].view("<u8")
        return cls(high, low, body[16 * count :].view("<f4").reshape(count, 2))

    @classmethod
    def of(cls, entries: Sequence[tuple[bytes, float, float]]) -> "_Segment":
        """Sort entries whose keys all differ."""
        halves = np.frombuffer(b"".join(key for key, _, _ in entries), dtype="<u8").reshape(-1, 2)
        order = np.argsort(halves[:, 0], kind="stable")
        values = np.array([entry[1:] for entry in entries], dtype="<f4")
        return cls(halves[order, 0], halves[order, 1], values[order])

    def to_bytes(self) -> bytes:
        return b"".join((MAGIC, self.high.tobytes(), self.low.tobytes(), self.values.tobytes()))

    def lookup(self, halves: NDArray[np.uint64], into: Values) -> None:
        """Fill in what this segment knows of the keys [n, 2]."""
        places = np.searchsorted(self.high, halves[:, 0]).clip(max=len(self.high) - 1)
        known = (self.high[places] == halves[:, 0]) & (self.low[places] == halves[:, 1])
        into[known] = self.values[places[known]]


@dataclass(slots=True)
class ReferenceCache:
    """Reference log-probabilities by pair key: segments in `folder`, and what is new until it is flushed."""

    folder: Path
    _segments: list[_Segment] = field(default_factory=list)
    _fresh: dict[bytes, tuple[float, float]] = field(default_factory=dict)
    _wrong: set[bytes] = field(default_factory=set)

    def load(self) -> None:
        """Map all segments; one that is broken is deleted, its pairs are computed again."""
        self._segments, paths = [], []
        for path in sorted(self.folder.glob("*.seg")):
            try:
                self._segments.append(_Segment.open(path))
                paths.append(path)
            except ValueError:
                path.unlink(missing_ok=True)
            except OSError:  # not readable now; its pairs are computed again
                continue
        if len(paths) > MOST_SEGMENTS:
            self._merge(paths)

    def lookup(self, keys: Sequence[bytes]) -> Values:
        """[n, 2] fp32 of each key, NaN where it is not known."""
        found = np.full((len(keys), 2), np.nan, dtype=np.float32)
        if not keys:
            return found
        halves = np.frombuffer(b"".join(keys), dtype="<u8").reshape(-1, 2)
        for segment in self._segments:  # a later one wins
            segment.lookup(halves, found)
        for place, key in enumerate(keys):
            if key in self._wrong:
                found[place] = np.nan
            if key in self._fresh:
                found[place] = self._fresh[key]
        return found

    def forget(self, keys: Iterable[bytes]) -> None:
        """Do not believe entries that proved wrong; what is added for them later wins over what the files hold."""
        for key in keys:
            self._wrong.add(key)
            self._fresh.pop(key, None)

    def add(self, key: bytes, chosen: float, rejected: float) -> None:
        """Remember a pair, until `flush` writes it down."""
        self._fresh[key] = (chosen, rejected)

    @property
    def unwritten(self) -> int:
        """Pairs that `flush` would write."""
        return len(self._fresh)

    def flush(self) -> None:
        """Write what is new. Segment names ascend with time, so a later value of a key wins."""
        if not self._fresh:
            return
        segment = _Segment.of([(key, *values) for key, values in self._fresh.items()])
        self._write(segment)
        self._segments.append(segment)
        self._wrong -= self._fresh.keys()
        self._fresh.clear()

    def _merge(self, paths: Sequence[Path]) -> None:
        """One segment for all. Who reads the old files keeps them mapped; who does not find them computes anew."""
        known: dict[bytes, tuple[float, float]] = {}
        for segment in self._segments:
            keys = np.stack([segment.high, segment.low], axis=1)
            pairs = zip(keys, segment.values.tolist(), strict=True)
            known.update((key.tobytes(), (chosen, rejected)) for key, (chosen, rejected) in pairs)
        merged = _Segment.of([(key, *values) for key, values in known.items()])
        try:
            self._write(merged)
        except CannotWriteError:
            return
        self._segments = [merged]
        for path in paths:
            path.unlink(missing_ok=True)

    def _write(self, segment: _Segment) -> None:
        target = self.folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.seg"
        staging = target.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with staging.open("wb") as file:
                file.write(segment.to_bytes())
                file.flush()
                os.fsync(file.fileno())
            staging.replace(target)
        except OSError as error:
            staging.unlink(missing_ok=True)
            raise CannotWriteError(
                "reference.cannot_write",
                f"{self.folder}: cannot write the reference cache: {error.strerror}. Free space there, or set "
                "XDG_CACHE_HOME to a directory that can be written",
                path=str(self.folder),
                detail=error.strerror,
            ) from error
