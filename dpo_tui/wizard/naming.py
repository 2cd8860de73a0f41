"""Where a new run and its config go: names that nothing has yet."""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

from dpo_tui.starting import name_made_of, occupied, root_in
from dpo_tui.wizard.draft import Draft, Preset
from engine.config.local import absolute


def in_directory(runs_dir: Path) -> Preset:
    """Fills into a new draft the directory of all runs, and a name that is free there."""

    def preset(draft: Draft) -> None:
        if Path(absolute(str(draft.get("run.dir")))) != runs_dir:
            draft.set("run.dir", str(runs_dir))
        root = run_root(draft)
        if occupied(root):
            draft.set("run.name", free_name(root))

    return preset


def run_root(draft: Draft) -> Path:
    """The directory the run would get."""
    base = draft.runs_dir or draft.get("run.dir")
    return root_in(base if isinstance(base, str | Path) else "runs", safe(draft.name))


def free_name(root: Path) -> str:
    """The run's name, or with the first number behind it that is free."""
    return _first_free(root.name, lambda name: not occupied(root.with_name(name)))


def config_path(draft: Draft) -> Path:
    """Where the draft is saved: its own file, else one called after the run that is free or says the same."""
    if draft.path is not None:
        return draft.path
    return unused(Path(f"{safe(draft.name)}.toml"), draft.text.encode())


def unused(path: Path, content: bytes) -> Path:
    """`path`, or with the first number behind its name, where no file is or one that holds just this."""

    def fits(name: str) -> bool:
        other = path.with_name(f"{name}{path.suffix}")
        return not os.path.lexists(other) or _content(other) == content

    return path.with_name(f"{_first_free(path.stem, fits)}{path.suffix}")


def near(path: Path) -> str:
    """The path as one would type it here: from the working directory where it is below."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def safe(name: str) -> str:
    """The name with what no file of ours has in its name replaced."""
    return name_made_of(name) or "run"


def _first_free(name: str, free: Callable[[str], bool]) -> str:
    """name, name-2, name-3 ...; a number that is there already is counted on."""
    if free(name):
        return name
    stem, _, number = name.rpartition("-")
    first = int(number) + 1 if stem and number.isascii() and number.isdigit() else 2
    stem = stem if first > 2 else name
    return next(other for n in count(first) if free(other := f"{stem[:60]}-{n}"))


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
