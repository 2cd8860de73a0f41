"""A complete set of prepared pairs in a folder: two files of pairs, and the record that makes them one."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.data.prepared.pairs import PairStore
from engine.data.report.report import Report
from engine.exits import UnusableError
from engine.rundir.files import read_json, write_json, writing

TRAIN, EVAL, RECORD = "train.arrow", "eval.arrow", "report.json"


@dataclass(frozen=True, slots=True)
class Prepared:
    """Pairs ready to train on; eval is None when none are held out. reused: nothing was read, a set was there."""

    train: PairStore
    eval: PairStore | None
    report: Report
    reused: bool = False


def complete(folder: Path, key: str, report: Report) -> None:
    """Write the record of the files in `folder`, last of all: with it the set is complete."""
    with writing(folder):
        digests = {name: _digest(folder / name) for name in (TRAIN, EVAL)}
    write_json(folder / RECORD, {"key": key, "digests": digests, "report": report.to_json()})


def open_set(folder: Path, report: Report, *, reused: bool = False) -> Prepared:
    """Map the files of a set. Raises `UnusableError` when one is not readable as pairs."""
    evaluation = PairStore.open(folder / EVAL)
    return Prepared(PairStore.open(folder / TRAIN), evaluation if len(evaluation) else None, report, reused)


def find_set(folder: Path, key: str) -> Prepared | None:
    """The set in `folder` if it is complete, made from the same and undamaged; else None."""
    record = read_json(folder / RECORD)
    report = Report.from_json(record.get("report")) if record and record.get("key") == key else None
    if record is None or report is None or not _sound(folder, record.get("digests")):
        return None
    try:
        prepared = open_set(folder, report, reused=True)
    except UnusableError:
        return None
    counts = (len(prepared.train), len(prepared.eval) if prepared.eval else 0)
    return prepared if counts == (report.train, report.eval) else None


def _sound(folder: Path, digests: Any) -> bool:
    try:
        return bool(digests == {name: _digest(folder / name) for name in (TRAIN, EVAL)})
    except OSError:
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
