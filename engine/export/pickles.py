"""Files that run code when they are opened the way weights are: none of them belongs in an export."""

import pickletools
from pathlib import Path

SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
ZIP = b"PK\x03\x04"
"""What `torch.save` writes is a zip archive with a pickle in it."""


def pickle_problem(path: Path) -> str | None:
    """Why a file counts as pickled, whatever its name says; None if it does not. Nothing in it is run."""
    if path.suffix.lower() in SUFFIXES:
        return "is pickled by its name"
    with path.open("rb") as file:
        if file.read(len(ZIP)) == ZIP:
            return "is a zip archive, as pickled weights are"
    return "holds a pickle" if _is_pickle(path) else None


def _is_pickle(path: Path) -> bool:
    """Whether the bytes are opcodes of pickle's machine from the first to a STOP at the end.

    JSON, text and safetensors fail at their first bytes, so this reads next to nothing of them.
    """
    with path.open("rb") as file:
        try:
            for _ in pickletools.genops(file):
                pass
        except (ValueError, IndexError, OverflowError, MemoryError, UnicodeError):
            return False
        return not file.read(64).strip()
