"""A person's own settings, and what the app remembers: small files where each system keeps such things.

settings.toml, written by the person, never by the app:

    language = "zh"                 # or "en"; without it the locale decides
    theme = "dpo-light"
    [keys]
    "home.new" = "N"                # any binding's id; F1 lists them
"""

import json
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from engine.exits import UsageError
from engine.rundir.files import write_whole
from engine.sanitize import one_line

SETTINGS_VARIABLE = "DPO_TUI_SETTINGS"

_APP = "dpo-tui"
_KNOWN = {"language": str, "theme": str, "keys": dict}
_REMEMBERED = 12
"""Entries kept of each kind: what somebody might pick again."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What `settings.toml` says; all of it is optional."""

    language: str | None = None
    theme: str | None = None
    keys: dict[str, str] = field(default_factory=dict)


def settings_path() -> Path:
    """Where the settings are, or would be."""
    named = os.environ.get(SETTINGS_VARIABLE)
    return Path(named) if named else platformdirs.user_config_path(_APP) / "settings.toml"


def load_settings(path: Path | None = None) -> Settings:
    """The settings in `path`; the defaults where there is no such file. Raises UsageError for one that is wrong."""
    path = path or settings_path()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Settings()
    except (OSError, ValueError) as error:
        raise _wrong(path, getattr(error, "strerror", None) or str(error)) from None
    for name, value in values.items():
        if name not in _KNOWN:
            raise _wrong(path, f"unknown key {name!r}; there are {', '.join(_KNOWN)}")
        if not isinstance(value, _KNOWN[name]):
            raise _wrong(path, f"{name}: expected {'a table' if name == 'keys' else 'text in quotes'}")
    keys = values.get("keys", {})
    if bad := next((name for name, value in keys.items() if not isinstance(value, str)), None):
        raise _wrong(path, f'keys.{bad}: expected the name of a key in quotes, like "ctrl+n"')
    if values.get("language") not in (None, "en", "zh"):
        raise _wrong(path, "language: expected 'en' or 'zh'")
    return Settings(values.get("language"), values.get("theme"), dict(keys))


def _wrong(path: Path, problem: str) -> UsageError:
    text = f"{one_line(str(path))}: {one_line(problem)}"
    return UsageError("settings.invalid", text, path=str(path), problem=problem)


class Recents:
    """What was chosen before, the latest first: configs, models, data. Losing it costs nothing: no write fails."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or platformdirs.user_state_path(_APP) / "recent.json"

    def recall(self, kind: str) -> list[Any]:
        """The remembered entries of a kind, in JSON's types."""
        entries = self._read().get(kind)
        return entries if isinstance(entries, list) else []

    def remember(self, kind: str, entry: Any) -> None:
        """Put an entry first."""
        kept = [entry, *(other for other in self.recall(kind) if other != entry)][:_REMEMBERED]
        values = {**self._read(), kind: kept}
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._path, json.dumps(values, ensure_ascii=False).encode(), sync=False)
        except Exception:  # noqa: S110 # no room, no permission, a text that is no UTF-8
            pass

    def _read(self) -> dict[str, Any]:
        try:
            values = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return values if isinstance(values, dict) else {}
