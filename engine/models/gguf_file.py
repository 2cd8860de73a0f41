"""The header of a GGUF file: its metadata, and where each tensor lies. Reads a few megabytes, in milliseconds."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from engine.exits import UnusableError

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
MAX_STRING = 1 << 26
ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One tensor of the file."""

    name: str
    shape: tuple[int, ...]
    """Outermost dimension first, as torch has it; the file has it the other way round."""
    kind: int
    """ggml's number of its quantisation."""
    offset: int
    """First byte, from the start of the file."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says about itself."""

    path: Path
    metadata: dict[str, Any]
    """Scalars and strings; an array appears as None."""
    tensors: list[GgufTensor]

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))


def read_header(path: Path) -> GgufHeader:
    """Raises UnusableError for a file that is no GGUF or whose header is cut off."""
    try:
        with path.open("rb") as file:
            magic, version, tensors, count = struct.unpack("<4sIQQ", file.read(24))
            if magic != b"GGUF" or version not in (2, 3):
                raise ValueError("its first bytes are not those of GGUF version 2 or 3")
            metadata = {_string(file): _value(file, *_unpack(file, "I")) for _ in range(count)}
            found = [_tensor(file) for _ in range(tensors)]
            align = int(metadata.get("general.alignment", ALIGNMENT))
            start = -(-file.tell() // align) * align
    except (struct.error, ValueError, TypeError, ArithmeticError, RecursionError, OSError) as error:
        raise UnusableError(
            "model.gguf_unreadable",
            f"{path}: not a readable GGUF file ({error}). It may be an incomplete download: fetch it again.",
            path=str(path),
            detail=str(error),
        ) from error
    return GgufHeader(path, metadata, [GgufTensor(n, s, k, start + offset) for n, s, k, offset in found])


def _tensor(file: BinaryIO) -> tuple[str, tuple[int, ...], int, int]:
    name = _string(file)
    (rank,) = _unpack(file, "I")
    if rank > 8:
        raise ValueError(f"a tensor of {rank} dimensions")
    shape = _unpack(file, f"{rank}Q")
    return name, shape[::-1], *_unpack(file, "IQ")


def _unpack(file: BinaryIO, kind: str) -> tuple[Any, ...]:
    return struct.unpack(f"<{kind}", file.read(struct.calcsize(f"<{kind}")))


def _string(file: BinaryIO) -> str:
    (length,) = _unpack(file, "Q")
    if length > MAX_STRING:
        raise ValueError(f"a string of {length} bytes")
    text = file.read(length)
    if len(text) < length:
        raise ValueError("the file ends inside its header")
    return text.decode("utf-8")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == STRING:
        return _string(file)
    if kind == ARRAY:
        return _skip_array(file)
    if kind not in SCALARS:
        raise ValueError(f"an unknown value type {kind}")
    return _unpack(file, SCALARS[kind])[0]


def _skip_array(file: BinaryIO) -> None:
    kind, length = _unpack(file, "IQ")
    if kind in SCALARS:
        file.seek(struct.calcsize(SCALARS[kind]) * length, 1)
        return
    for _ in range(length):
        _value(file, kind)
