"""`dpo-tui.json`: says that a folder is an export of ours, of what, with what proof, and what each file holds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.data.report.tallies import Notice
from engine.export.proof import Proof
from engine.rundir.files import read_json
from engine.rundir.manifest import describe
from engine.sanitize import one_line

RECORD = "dpo-tui.json"
VERSION = 1


def write_record(folder: Path, identity: Mapping[str, Any], proof: Proof | None) -> None:
    """Marks the folder as ours; the last file to be written into it."""
    files = {
        path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()
    }
    record = {
        "v": VERSION,
        **identity,
        "proof": proof.to_json() if proof else None,
        "files": {name: describe(path) for name, path in files.items()},
    }
    (folder / RECORD).write_text(f"{json.dumps(record, indent=2)}\n", encoding="utf-8")


def recorded_files(folder: Path) -> list[str] | None:
    """The files of an export, as its record says; None for a folder that is none."""
    files = (read_json(folder / RECORD) or {}).get("files")
    return list(files) if isinstance(files, dict) else None


def recorded_proof(folder: Path) -> Proof | None:
    """The proof in the record of an export; None where there is none."""
    return Proof.from_json((read_json(folder / RECORD) or {}).get("proof"))


def replaced(folder: Path, identity: Mapping[str, Any]) -> Notice | None:
    """What is to be said of an earlier export in the folder, whose place another takes; None where it is the same."""
    record = read_json(folder / RECORD)
    if record is None or all(record.get(name) == value for name, value in identity.items()):
        return None
    base, step, dtype = record.get("base"), record.get("step"), record.get("dtype")
    named = base.get("id") if isinstance(base, dict) else None
    held = "adapter" if record.get("adapter") is True else "merged model"
    text = (
        f"{folder} held an earlier export, of step {step} ({held} in {dtype}, of {named}): this one has taken its "
        "place. Give each a folder of its own with --to to keep them all."
    )
    params = {"path": str(folder), "step": step, "held": held, "dtype": dtype, "base": named}
    return Notice("export.replaced", one_line(text), params)


def holds(folder: Path, identity: Mapping[str, Any]) -> bool:
    """Whether the folder is an export of exactly this, every byte as it was written, and nothing else is in it."""
    record = read_json(folder / RECORD) or {}
    files = record.get("files")
    if record.get("v") != VERSION or not isinstance(files, dict):
        return False
    if any(record.get(name) != value for name, value in identity.items()):
        return False
    present = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    present.pop(RECORD)
    return present.keys() == files.keys() and all(
        describe(path) == files[name] for name, path in present.items()
    )
