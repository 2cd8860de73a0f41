"""Where rows come from: files, folders of files, saved datasets, the hubs, and the built-in pairs."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from engine.config.local import expanded
from engine.config.schema import HUBS, Source
from engine.data.files.hub import open_hub
from engine.data.files.json_files import holds_array, json_array, json_lines
from engine.data.files.modelscope import open_modelscope
from engine.data.files.splits import METADATA
from engine.data.files.table_files import arrow_rows, parquet_count, parquet_rows, saved_dataset_files
from engine.data.files.text_files import NumberedRow, csv_rows, unusable
from engine.exits import UnusableError, UsageError
from engine.shipped import template_dir

READERS: Mapping[str, Callable[[Path], Iterator[NumberedRow]]] = {
    ".jsonl": json_lines,
    ".ndjson": json_lines,
    ".json": json_lines,
    ".csv": csv_rows,
    ".parquet": parquet_rows,
    ".arrow": arrow_rows,
}
PACKED = (".jsonl", ".ndjson", ".json", ".csv")
"""Formats that may be gzipped; the others are packed within."""

BUILTIN = {"quickstart": Path("quickstart", "pairs.jsonl")}
SPLITS = re.compile(r"(train|test|validation|valid|val|dev|eval)(?![A-Za-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """A row as read, and where it stands: the line of a text file, else the number of the row, both from 1."""

    place: str
    number: int
    by_line: bool
    fields: dict[str, Any]

    @property
    def where(self) -> str:
        return f"{self.place}:{self.number}" if self.by_line else f"{self.place} row {self.number}"

    def without_fields(self) -> "Row":
        """Where the row stands, without what it holds."""
        return Row(self.place, self.number, self.by_line, {})


@dataclass(frozen=True, slots=True)
class Opened:
    """An open source: its rows, of which at most `limit` are given; their number and files where known."""

    rows: Iterator[Row]
    total: int | None
    files: int


def open_source(source: Source) -> Opened:
    """Open a source; reading is lazy. Raises `UnusableError`, `HubError` or `UsageError`, also while reading.

    Without ModelScope's package its datasets raise `EnvironmentUnfitError`.
    """
    if source.source == "hub":
        count, numbered = open_hub(source)
        return _limited(source, (Row(source.path, n, False, fields) for n, fields in numbered), count, 0)
    if source.source == "modelscope":
        count, rows, number = open_modelscope(source, file_rows)
        return _limited(source, rows, count, number)
    files = source_files(source)
    counts = [parquet_count(file) if file.suffix == ".parquet" else None for file in files]
    known = [count for count in counts if count is not None]
    total = sum(known) if len(known) == len(files) else None
    return _limited(source, chain.from_iterable(map(file_rows, files)), total, len(files))


def read_rows(source: Source) -> Iterator[Row]:
    """The rows of a source, at most `source.limit`."""
    return open_source(source).rows


def _limited(source: Source, rows: Iterator[Row], total: int | None, files: int) -> Opened:
    if source.limit is None:
        return Opened(rows, total, files)
    expected = source.limit if total is None else min(total, source.limit)
    return Opened(islice(rows, source.limit), expected, files)


def file_rows(path: Path, place: str | None = None) -> Iterator[Row]:
    """The rows of one file, by its name's ending. `place` is what the file is called, where that is not its path."""
    ending = _ending(path)
    if ending not in READERS:
        known = ", ".join(READERS)
        raise unusable(
            str(path), f"not a kind of file that is read here: expected {known}, text also with .gz."
        )
    array = ending != ".csv" and ending in PACKED and holds_array(path)
    reader = json_array if array else READERS[ending]
    by_line = ending in PACKED and not array
    return (Row(place or str(path), number, by_line, fields) for number, fields in reader(path))


def _ending(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(".gz"):
        inner = Path(name.removesuffix(".gz")).suffix
        return inner if inner in PACKED else ".gz"
    return Path(name).suffix


def source_files(source: Source) -> list[Path]:
    """The files of a local or built-in source, in the order they are read."""
    if source.source == "builtin":
        return [_builtin(source.path)]
    path = expanded(source.path)
    if os.path.isdir(path):  # a path's own methods raise for one that is too long
        return saved_dataset_files(path, source.split) or _folder_files(path, source.split)
    if not os.path.exists(path):
        text = f"{path}: no such file or folder (looked for in {Path.cwd()})."
        on_hub = source.path.count("/") == 1 and not path.suffix
        text += ' For a dataset on the hub write source = "hub".' if on_hub else ""
        case = "hub" if on_hub else ""
        raise UnusableError("data.file_missing", text, path=str(path), folder=str(Path.cwd()), case=case)
    if not path.is_file():
        raise unusable(str(path), "neither a file nor a folder, and rows are read more than once.")
    return [path]


def _builtin(name: str) -> Path:
    if name not in BUILTIN:
        known = ", ".join(BUILTIN)
        raise UsageError(
            "data.unknown_builtin",
            f'There is no built-in set "{name}". Known: {known}.',
            name=name,
            known=list(BUILTIN),
        )
    return template_dir() / BUILTIN[name]


def _folder_files(folder: Path, split: str) -> list[Path]:
    """Data files of a folder, else of its `data` folder, but those named after another split."""
    for place in (folder, folder / "data"):
        files = [file for file in sorted(place.glob("*")) if file.is_file() and _is_data(file)]
        chosen = [file for file in files if _of_split(file, split)]
        if files and not chosen:
            raise unusable(str(place), f'holds no files of split "{split}", only {_names(files)}.')
        if chosen:
            return chosen
    raise unusable(str(folder), f"holds no data files: expected {', '.join(READERS)} (text also with .gz).")


def _is_data(file: Path) -> bool:
    return not file.name.startswith(".") and file.name not in METADATA and _ending(file) in READERS


def _of_split(file: Path, split: str) -> bool:
    named = SPLITS.match(file.name)
    return (
        named is None
        or split.lower().startswith(named[1].lower())
        or named[1].lower().startswith(split.lower())
    )


def _names(files: Sequence[Path]) -> str:
    shown = ", ".join(file.name for file in files[:5])
    return shown + (", ..." if len(files) > 5 else "")


def fingerprint(source: Source) -> list[list[str | int]]:
    """What tells whether the files of a source changed: names, sizes and times; the content of built-in ones.

    The time of the last change of the inode is among them: unlike that of the content, no program can set it back.
    A dataset of a hub has none: its id, split and revision are in the config.
    """
    if source.source in HUBS:
        return []
    if source.source == "builtin":
        return [["sha256", hashlib.sha256(_builtin(source.path).read_bytes()).hexdigest()]]
    stats = [(file, file.stat()) for file in source_files(source)]
    return [[str(file), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns] for file, stat in stats]
