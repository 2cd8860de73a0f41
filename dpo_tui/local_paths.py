"""Paths on this machine for a person to choose: what fits where a model or pairs are wanted, and completion.

They are asked with `os.path`: a path's own methods raise where nobody may look, and for a name that is too long.
"""

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
        return (name.endswith(".gguf") and os.path.isfile(path)) or os.path.isfile(path / "config.json")
    return name.endswith((*SUFFIXES, *PACKED)) if os.path.isfile(path) else _holds_data(path)


def judged(text: str, kind: Kind) -> Verdict:
    """What a typed path is; `folder` is one to look into."""
    path = expanded(text.strip())
    if not os.path.exists(path):
        return "missing"
    if fits(path, kind):
        return "fits"
    return "folder" if os.path.isdir(path) else "unfit"


def shown_in_tree(path: Path, kind: Kind, *, hidden: bool) -> bool:
    """Whether a tree of files has it: folders, and files that fit."""
    if path.name.startswith(".") and not hidden:
        return False
    return os.path.isdir(path) or fits(path, kind)


def completed(text: str, kind: Kind) -> str:
    """`text` with as much added as all fitting entries share; a folder that is the only one gets its slash."""
    above, _, begun = text.rpartition("/")
    folder = expanded(f"{above}/") if "/" in text else Path()
    names = sorted(_names(folder, begun, kind))
    if not names:
        return f"{text}/" if text and not text.endswith("/") and os.path.isdir(expanded(text)) else text
    common = os.path.commonprefix(names)  # noqa: RUF071 # of names, not of paths
    only_folder = len(names) == 1 and os.path.isdir(folder / common)
    return f"{above}/{common}"[0 if "/" in text else 1 :] + ("/" if only_folder else "")


def _names(folder: Path, begun: str, kind: Kind) -> Iterator[str]:
    for path in _entries(folder):
        if path.name.startswith(begun) and shown_in_tree(path, kind, hidden=begun.startswith(".")):
            yield path.name


def _holds_data(folder: Path) -> bool:
    """One folder deep, as saved datasets are."""
    return any(entry.name.lower().endswith((*SUFFIXES, *PACKED)) for entry in _entries(folder))


def _entries(folder: Path) -> Iterator[Path]:
    with suppress(OSError, ValueError), os.scandir(folder) as found:
        for number, entry in enumerate(found):
            if number == MOST:
                return
            yield folder / entry.name
