"""The configs people start from: list them, show one, copy one."""

from difflib import get_close_matches
from pathlib import Path

from dpo_tui.new_file import write_new
from engine.exits import UsageError
from engine.sanitize import visible
from engine.shipped import template_dir, template_names


def purposes() -> dict[str, str]:
    """The purpose of each template by its name: its first comment line."""
    return {name: _purpose(_path(name)) for name in template_names()}


def text(name: str) -> bytes:
    """The template as it is in the file; raises UsageError for a name there is none of."""
    return _path(name).read_bytes()


def copy(name: str, destination: Path | None) -> Path:
    """Write the template to `destination`, or into it if it is a directory, or to `NAME.toml` here.

    Returns the path written. Raises UsageError rather than overwrite anything, CannotWriteError if the
    file system refuses.
    """
    return write_new(text(name), destination, f"{name}.toml", f"dpo-tui templates cp {name} FILE")


def _path(name: str) -> Path:
    names = template_names()
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(names)}"
        text = f"There is no template {visible(name)!r}. {hint}"
        raise UsageError("templates.unknown", text, name=name, names=names)
    return template_dir() / f"{name}.toml"


def _purpose(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.readline().removeprefix("#").strip()
