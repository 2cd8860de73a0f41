"""What decides the pairs that come of a config, in one number: the key under which they are found again."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from engine.config.schema import HUBS, Config
from engine.data.encoding.encoder import Encoder, tokenizer_fingerprint
from engine.data.files.sources import fingerprint
from engine.exits import UnusableError
from engine.sanitize import one_line

VERSION = 3
"""Of what preparing does: a set of another version is made again."""

LIBRARIES = ("transformers", "tokenizers", "jinja2", "datasets", "pyarrow")
COMMIT = re.compile(r"[0-9a-f]{40}")
NO_MATTER: Any = {"chat_template": True, "sources": {"__all__": {"weight", "streaming"}}}
"""Keys of `[data]` that change no pair: the template's text counts, not its place; weights are the plan's."""


@dataclass(frozen=True, slots=True)
class Key:
    """own: of the set in a run's folder. shared: of it among those of all runs; None where it may not be there.

    files: fingerprints of the sources' files as they were before reading.
    """

    own: str
    shared: str | None
    files: Sequence[Any]


def prepared_key(config: Config, encoder: Encoder, template: str | None) -> Key:
    """The key of what `config` gives with this encoder. Raises what looking for the sources' files raises.

    A run may go on another day with what it has. Other runs may not share it when a template writes today's date,
    or when it comes from a branch of a hub, which moves.
    """
    files = [fingerprint(source) for source in config.data.sources]
    parts: dict[str, Any] = {
        "version": VERSION,
        "libraries": {name: version(name) for name in LIBRARIES},
        "data": config.data.model_dump(mode="json", exclude=NO_MATTER),
        "seed": config.run.seed,
        "tokenizer": tokenizer_fingerprint(encoder.tokenizer),
        "template": template,
        "stops": sorted(encoder.stops),
        "files": files,
    }
    own = _digest(parts)
    fixed = all(
        source.source not in HUBS or COMMIT.fullmatch(source.revision or "") for source in config.data.sources
    )
    dated = encoder.renderer.exists and "strftime_now" in encoder.renderer.source
    today = datetime.now().astimezone().date().isoformat() if dated else ""
    return Key(own, _digest([own, today]) if fixed else None, files)


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def require_unchanged(config: Config, key: Key) -> None:
    """Raise `UnusableError` when the files of a source are no longer those that `key` was made of."""
    for source, before in zip(config.data.sources, key.files, strict=True):
        if fingerprint(source) != before:
            text = one_line(f"{source.path}: changed while it was read. Start again when it is complete.")
            raise UnusableError("data.changed", text, path=source.path)
