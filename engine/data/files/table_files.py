"""Rows of Parquet and Arrow files and of datasets saved to disk, a batch at a time."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.data.files.text_files import NumberedRow, unusable

BATCH_ROWS = 256

_BROKEN = (OSError, pa.ArrowException, UnicodeDecodeError)  # the last is raised for a name of a column


def parquet_rows(path: Path) -> Iterator[NumberedRow]:
    """Rows of a Parquet file, numbered from 1."""
    try:
        file = pq.ParquetFile(path, memory_map=True)
        yield from _numbered(path, file.iter_batches(batch_size=BATCH_ROWS))
    except _BROKEN as error:
        raise unusable(str(path), f"not a readable Parquet file: {_line(error)}.") from error


def parquet_count(path: Path) -> int | None:
    """How many rows a Parquet file has; None where it cannot be read."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except _BROKEN:
        return None


def arrow_rows(path: Path) -> Iterator[NumberedRow]:
    """Rows of an Arrow IPC file or stream, numbered from 1."""
    try:
        with pa.memory_map(str(path)) as mapped:
            yield from _numbered(path, _slices(_record_batches(mapped)))
    except _BROKEN as error:
        raise unusable(str(path), f"not a readable Arrow file: {_line(error)}.") from error


def _record_batches(mapped: Any) -> Iterator[Any]:
    magic = mapped.read(6)
    mapped.seek(0)
    if magic != b"ARROW1":
        yield from pa.ipc.open_stream(mapped)
        return
    reader = pa.ipc.open_file(mapped)
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)


def _slices(batches: Iterator[Any]) -> Iterator[Any]:
    """The batches in small parts, each batch checked first: Arrow follows whatever offsets a damaged file holds."""
    for batch in batches:
        batch.validate(full=True)
        for start in range(0, batch.num_rows, BATCH_ROWS):
            yield batch.slice(start, BATCH_ROWS)


def _numbered(path: Path, batches: Iterator[Any]) -> Iterator[NumberedRow]:
    number = 0
    for batch in batches:
        names = batch.schema.names
        if len(set(names)) != len(names):
            raise unusable(str(path), f"two of its columns have the same name: {', '.join(names)}.")
        try:
            rows = batch.to_pylist()
        except UnicodeDecodeError as error:
            place = f"{path} rows {number + 1} to {number + batch.num_rows}"
            raise unusable(place, "a text is not UTF-8. Write it anew as text.") from error
        for fields in rows:
            number += 1
            yield number, fields


def saved_dataset_files(folder: Path, split: str) -> list[Path] | None:
    """Arrow files of a folder that `datasets` saved, None if it is no such folder.

    Raises `UnusableError` when the folder has splits and not this one, or when a file of it is missing.
    """
    splits = _json(folder / "dataset_dict.json")
    if splits is not None:
        names = [name for name in splits.get("splits", ()) if isinstance(name, str)]
        if split not in names:
            raise unusable(str(folder), f'no split "{split}" is saved here, only {", ".join(names)}.')
        folder = folder / split
    state = _json(folder / "state.json")
    if state is None:
        return None
    files = [folder / Path(entry["filename"]).name for entry in state.get("_data_files", ())]
    for file in files:
        if not file.is_file():
            raise unusable(str(file), "missing, and the saved dataset lists it. Copy the whole folder.")
    return files


def _json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
