"""What a checkpoint consists of: the size and hash of every file, and what made it."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self, TypedDict

MANIFEST = "manifest.json"
VERSION = 1


class UnreadableManifestError(ValueError):
    """The manifest is missing, damaged, or of a version from the future."""


class FileEntry(TypedDict):
    """One file of a checkpoint."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of `manifest.json`. It is sealed with a hash of its own, so damage to it shows as well."""

    step: int
    epoch: float
    metrics: dict[str, float]
    config_digest: str
    data_digest: str
    model_digest: str
    world_size: int
    versions: dict[str, str]
    files: dict[str, FileEntry]
    """By path within the checkpoint, with forward slashes."""

    def dumps(self) -> bytes:
        """The manifest as sealed JSON. Metrics that are not finite are left out."""
        finite = {name: value for name, value in self.metrics.items() if math.isfinite(value)}
        content = {"v": VERSION, **asdict(self), "metrics": finite}
        return json.dumps({**content, "seal": _seal(content)}, indent=2, allow_nan=False).encode() + b"\n"

    @classmethod
    def loads(cls, value: dict[str, Any] | None) -> Self:
        """The manifest in a JSON object. Raises UnreadableManifestError."""
        if value is None:
            raise UnreadableManifestError("is missing or is no JSON object")
        content = {key: item for key, item in value.items() if key != "seal"}
        if value.get("seal") != _seal(content):
            raise UnreadableManifestError("is damaged: its content does not match its seal")
        if content.pop("v", None) != VERSION:
            raise UnreadableManifestError("was written by another version of this program")
        try:
            return cls(**content)
        except TypeError as error:
            raise UnreadableManifestError("lacks a key or has one too many") from error


def describe(file: Path) -> FileEntry:
    """Size and sha256 of a file, streamed."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return {"bytes": stream.tell(), "sha256": digest}


def files_of(directory: Path) -> list[Path]:
    """The files of a checkpoint, sorted: all but its manifest, hidden files and links."""
    return sorted(
        path
        for path in directory.rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and not path.name.startswith(".")
        and path.name != MANIFEST
    )


def mismatch(directory: Path, manifest: Manifest) -> str | None:
    """What of a checkpoint differs from its manifest, in words; None when nothing does. Sizes come first."""
    present = {file.relative_to(directory).as_posix(): file for file in files_of(directory)}
    for name, entry in manifest.files.items():
        if not _inside(name) or name not in present:
            return f"{directory / name}: is missing"
        size = present[name].stat().st_size
        if size != entry["bytes"]:
            return f"{directory / name}: has {size:,} bytes instead of {entry['bytes']:,}"
    for name in present.keys() - manifest.files.keys():
        return f"{directory / name}: is not part of this checkpoint"
    for name, entry in manifest.files.items():
        if describe(present[name]) != entry:
            return f"{directory / name}: its content has changed since it was written"
    return None


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _seal(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
