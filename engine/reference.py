"""Log-probabilities under the reference, computed once a pair and kept on disk by content.

A pair's key is made of its tokens; the folder's name of the reference weights and of the numerics. So a cache survives
another order, mix, learning rate or beta, and can never answer for other weights or another rounding. Every fill adds
segment files written beside and renamed, so that several runs can share a cache and none can see half an entry.
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

from engine.data.prepared.pairs import Pair
from engine.exits import CannotWriteError

_ENTRY = np.dtype([("key", "V16"), ("chosen", "<f4"), ("rejected", "<f4")])


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


@dataclass(slots=True)
class ReferenceCache:
    """Reference log-probabilities by pair key, in memory, with what is new appended to `folder`."""

    folder: Path
    entries: dict[bytes, tuple[float, float]] = field(default_factory=dict)
    _fresh: list[tuple[bytes, float, float]] = field(default_factory=list)

    def load(self) -> None:
        """Read all segments; one that does not read is deleted, its pairs are computed again."""
        for path in sorted(self.folder.glob("*.npy")):
            try:
                segment = np.load(path, allow_pickle=False)
                if segment.dtype != _ENTRY:
                    raise ValueError("not a segment of this cache")
            except (ValueError, EOFError):
                path.unlink(missing_ok=True)
                continue
            except OSError:  # not readable now; its pairs are computed again
                continue
            for key, chosen, rejected in segment:
                self.entries[key.tobytes()] = (float(chosen), float(rejected))

    def missing(self, keys: Sequence[bytes]) -> list[int]:
        """Positions in `keys` that the cache does not know."""
        return [i for i, key in enumerate(keys) if key not in self.entries]

    def forget(self, keys: Iterable[bytes]) -> None:
        """Drop entries that proved wrong; what is added for them later wins over what the files hold."""
        for key in keys:
            self.entries.pop(key, None)

    def add(self, key: bytes, chosen: float, rejected: float) -> None:
        """Remember a pair, until `flush` writes it down."""
        self.entries[key] = (chosen, rejected)
        self._fresh.append((key, chosen, rejected))

    @property
    def unwritten(self) -> int:
        """Pairs that `flush` would write."""
        return len(self._fresh)

    def flush(self) -> None:
        """Write what is new. Segment names ascend with time, so a later value of a key wins."""
        if not self._fresh:
            return
        target = self.folder / f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.npy"
        staging = target.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with staging.open("wb") as file:
                np.save(file, np.array(self._fresh, dtype=_ENTRY), allow_pickle=False)
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
        self._fresh.clear()
