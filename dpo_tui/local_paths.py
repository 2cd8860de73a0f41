"""Paths on this machine for a person to choose: what fits where a model or pairs are wanted, and completion."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

from engine.config.local import expanded

Kind = Literal["model", "data"]
Verdict = Literal["fits", "folder", "unfit", "missing"]

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".parquet", ".arrow")
PACKED = (".jsonl.gz", ".ndjson.gz", ".json.gz", ".csv.gz")

MOST = 2_000
"""Entries of a folder looked at."""


def fits(path: Path, kind: Kind) -> bool:
    """Whether a model, or pairs, may be read from it: told from names alone."""
    name = path.name.lower()
    if kind == "model":
        return (name.endswith(".gguf") and path.is_file()) or (path / "config.json").is_file()
    return name.endswith((*SUFFIXES, *PACKED)) if path.is_file() else _holds_data(path)


def judged(text: str, kind: Kind) -> Verdict:
    """What a typed path is; `folder` is one to look into."""
    path = expanded(text.strip())
    with suppress(OSError, ValueError):
        if not path.exists():
            return "missing"
        if fits(path, kind):
            return "fits"
        return "folder" if path.is_dir() else "unfit"
    return "missing"


def shown_in_tree(path: Path, kind: Kind, *, hidden: bool) -> bool:
    """Whether a tree of files has it: folders, and files that fit."""
    if path.name.startswith(".") and not hidden:
        return False
    with suppress(OSError):
        return path.is_dir() or fits(path, kind)
    return False


def completed(text: str, kind: Kind) -> str:
    """`text` with as much added as all fitting entries share; a folder that is the only one gets its slash."""
    above, _, begun = text.rpartition("/")
    folder = expanded(f"{above}/") if "/" in text else Path()
    names = sorted(_names(folder, begun, kind))
    if not names:
        return f"{text}/" if text and not text.endswith("/") and expanded(text).is_dir() else text
    common = os.path.commonprefix(names)  # noqa: RUF071 # of names, not of paths
    only_folder = len(names) == 1 and (folder / common).is_dir()
    return f"{above}/{common}"[0 if "/" in text else 1 :] + ("/" if only_folder else "")


def _names(folder: Path, begun: str, kind: Kind) -> Iterator[str]:
    for path in _entries(folder):
        if path.name.startswith(begun) and shown_in_tree(path, kind, hidden=begun.startswith(".")):
            yield path.name


def _holds_data(folder: Path) -> bool:
    """One folder deep, as saved datasets are."""
    with suppress(OSError):
        return any(entry.name.lower().endswith((*SUFFIXES, *PACKED)) for entry in _entries(folder))
    return False


def _entries(folder: Path) -> Iterator[Path]:
    with suppress(OSError, ValueError), os.scandir(folder) as found:
        for number, entry in enumerate(found):
            if number == MOST:
                return
            yield folder / entry.name
