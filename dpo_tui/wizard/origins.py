"""What a model or data source falls back on when somebody chooses another place for it to come from."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from dpo_tui.hub.cache import Kind as RepoKind
from dpo_tui.hub.cache import cached
from dpo_tui.local_paths import fits
from engine import modelscope_home
from engine.config.local import expanded
from engine.shipped import BUILTIN_DATA, BUILTIN_MODELS

Kind = Literal["model", "data"]

SOURCES = ("hub", "modelscope", "local", "builtin")

KNOWN = {"model": "Qwen/Qwen2.5-0.5B-Instruct", "data": "mlabonne/orpo-dpo-mix-40k"}
"""On the hub, for whoever has used nothing of it yet."""
KNOWN_SCOPE = {"model": "Qwen/Qwen2.5-0.5B-Instruct", "data": "AI-ModelScope/orpo-dpo-mix-40k"}
"""The same on ModelScope."""

TWINS = {
    "internlm/internlm2-chat-1_8b-sft": "Shanghai_AI_Laboratory/internlm2-chat-1_8b-sft",
    "mlabonne/orpo-dpo-mix-40k": "AI-ModelScope/orpo-dpo-mix-40k",
}
"""What the templates name on the hub, and the same on ModelScope."""

_NAMELESS = {"model": "./model", "data": "./pairs.jsonl"}
_BUILTIN = {"model": BUILTIN_MODELS, "data": BUILTIN_DATA}


def recent_ids(entries: Sequence[Any], source: str) -> list[str]:
    """The names used before of a source, out of what the app remembers."""
    pairs = [entry for entry in entries if isinstance(entry, list) and len(entry) == 2]
    return [str(name) for origin, name in pairs if origin == source]


def first_choice(kind: Kind, source: str, entries: Sequence[Any]) -> str:
    """A name that is valid for the source: used before, there already, or well known."""
    if source == "builtin":
        return _BUILTIN[kind][0]
    recent = recent_ids(entries, source)
    repos: RepoKind = "model" if kind == "model" else "dataset"
    if source == "hub":
        return next(iter([*recent, *cached(repos)]), KNOWN[kind])
    if source == "modelscope":
        return next(iter([*recent, *modelscope_home.cached(repos)]), KNOWN_SCOPE[kind])
    there = [path for path in recent if os.path.exists(expanded(path))]
    return next(iter([*there, *_nearby(kind)]), _NAMELESS[kind])


def twin(name: str, source: str) -> str | None:
    """What `name`, of the one hub, is called on the other; None for what is not known to be there."""
    names = TWINS if source == "modelscope" else {there: here for here, there in TWINS.items()}
    return names.get(name) if source in ("hub", "modelscope") else None


def _nearby(kind: Kind) -> Iterator[str]:
    """What fits in the working directory, in alphabetical order; no config of ours."""
    try:
        entries = sorted(Path().iterdir())[:200]
    except OSError:
        return
    for path in entries:
        if not path.name.startswith(".") and fits(path, kind) and (kind == "model" or os.path.isfile(path)):
            yield str(path)
