"""Where ModelScope's repos are kept on this machine, which server they come from, and when nobody asks it.

The layout is that of ModelScope's own tools, which find here what training downloaded, and the other way round:
`models/owner--name/snapshots/<commit>/`. Beside the snapshots stands what the server listed of each.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

Kind = Literal["model", "dataset"]

PACKAGE = "modelscope-hub"
"""What ModelScope's own tools transfer files with; 2 MB, and without the torch that `modelscope` itself loads."""
INSTALL = 'pip install "dpo-tui[modelscope]"'

SITE = "https://www.modelscope.cn"
SERVER = "https://modelscope.cn"
BRANCH = "master"
"""What is meant where no revision is given."""

MOST = 500
"""Repos looked for: a shared cache on a cluster may have tens of thousands."""


def server() -> str:
    """The server that is asked, as ModelScope's own tools are told it."""
    given = os.environ.get("MODELSCOPE_ENDPOINT") or os.environ.get("MODELSCOPE_DOMAIN") or ""
    address = given.strip().rstrip("/") or SERVER
    return address if "://" in address else f"https://{address}"


def cache_dir() -> Path:
    """The cache of ModelScope's own tools."""
    given = os.environ.get("MODELSCOPE_CACHE")
    return (Path(given) if given else Path.home() / ".cache" / "modelscope").expanduser().resolve()


def repo_dir(kind: Kind, repo: str) -> Path:
    """Where the cache keeps a repo."""
    return cache_dir() / f"{kind}s" / repo.replace("/", "--")


def older_dirs(kind: Kind, repo: str) -> list[Path]:
    """Where earlier versions of ModelScope's tools kept the newest files of a repo."""
    owner, _, name = repo.partition("/")
    place = Path(f"{kind}s", owner, name.replace(".", "___"))
    return [cache_dir() / place, cache_dir() / "hub" / place]


def offline_by() -> str | None:
    """The setting that switches the network off; None where it is on.

    MODELSCOPE_OFFLINE decides where it is set. Else HF_HUB_OFFLINE counts here as well: whoever sets it wants no
    network, wherever the files come from.
    """
    own = os.environ.get("MODELSCOPE_OFFLINE", "").strip().lower()
    if own:
        return None if own in ("0", "false", "no", "off") else "MODELSCOPE_OFFLINE"
    from huggingface_hub import constants

    return "HF_HUB_OFFLINE" if constants.HF_HUB_OFFLINE else None


def fetch_command(repo: str, kind: Kind, revision: str | None) -> str:
    """The command that puts a repo into the cache, for a machine with a network."""
    words = ["python -m engine fetch", repo]
    words += ["--dataset"] if kind == "dataset" else []
    words += [f"--revision {revision}"] if revision else []
    return " ".join(words)


def cached(kind: Kind) -> list[str]:
    """The ids of repos of which verified files are in the cache, the one used last first."""
    found: list[tuple[float, str]] = []
    with suppress(OSError):
        for folder in _below(cache_dir() / f"{kind}s"):
            if len(found) == MOST:
                break
            checked = folder / "checked"
            if "--" in folder.name and next(_below(checked), None) is not None:
                found.append((checked.stat().st_mtime, folder.name.replace("--", "/", 1)))
    return [repo for _, repo in sorted(found, reverse=True)]


def _below(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from folder.iterdir()
