"""Repos of the hub that are on this disk already: told from the names of folders, without opening a large file."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

Kind = Literal["model", "dataset"]

MOST = 500
"""Repos looked for: a shared cache on a cluster may have tens of thousands."""


def cached(kind: Kind, root: Path | None = None) -> list[str]:
    """The ids of downloaded repos, the one used last first; a model counts when its config.json is there.

    root: the cache; huggingface_hub's own when not given (HF_HOME, HF_HUB_CACHE).
    """
    root = root or _hub_cache()
    found: list[tuple[float, str]] = []
    with suppress(OSError):
        for folder in root.glob(f"{kind}s--*"):
            if len(found) == MOST:
                break
            if any(_usable(snapshot, kind) for snapshot in _below(folder / "snapshots")):
                found.append((_changed(folder), folder.name.removeprefix(f"{kind}s--").replace("--", "/")))
    return [repo for _, repo in sorted(found, reverse=True)]


def _hub_cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _usable(snapshot: Path, kind: Kind) -> bool:
    return (
        (snapshot / "config.json").exists() if kind == "model" else next(_below(snapshot), None) is not None
    )


def _below(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from folder.iterdir()


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0
