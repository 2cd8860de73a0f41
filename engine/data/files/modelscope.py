"""A dataset on ModelScope: its data files, each whole and verified on this disk before a row of it is read.

Which files make up a subset and a split is told by `datasets`, from their names and the card, as it is for a dataset
on the Hugging Face hub. No code of a repo, and none of ModelScope's own builders, is ever run.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, Generic, TypeVar

from engine.config.schema import Source
from engine.data.files.hub import dataset_errors
from engine.data.files.splits import ALL, METADATA, asked_splits, no_subset, require_split
from engine.data.files.table_files import parquet_count
from engine.models.modelscope.errors import ScopeRepo
from engine.models.modelscope.listing import Entry, Listing
from engine.models.modelscope.snapshot import fetch, listing_of

T = TypeVar("T")
Read = Callable[[Path, str], Iterator[T]]
"""The rows of a file on this disk, which is known by another name."""

ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".parquet", ".arrow")
PACKED = ".gz"
CARD = "README.md"
ELSEWHERE = re.compile(
    rb"""^[\s-]*(path|data_files)\s*:\s*["']?\w[\w+.-]*://|^\s*-\s*["']?\w[\w+.-]*://""", re.MULTILINE
)
"""A file that `datasets` would look for on another host."""


@dataclass(frozen=True, slots=True)
class ScopeData(Generic[T]):
    """A dataset at one commit, of which only the files that are read are downloaded."""

    source: Source
    repo: ScopeRepo
    listing: Listing
    splits: Mapping[str, Sequence[Entry]]
    read: Read[T]

    @property
    def names(self) -> list[str]:
        """The splits asked for, in their order."""
        asked = asked_splits(self.source.split)
        return [name for one in asked for name in (self.splits if one == ALL else [one])]

    @property
    def files(self) -> list[Entry]:
        """The files of the splits asked for."""
        return list(dict.fromkeys(file for name in self.names for file in self.splits[name]))

    def rows(self) -> Iterator[T]:
        """All rows asked for."""
        if "[" not in self.source.split:
            for name in self.names:
                yield from self._of_split(name)
            return
        for part in self._parts():
            yield from islice(self._of_split(part.splitname), part.from_, part.to)

    def count(self) -> int | None:
        """How many rows that is; None where it cannot be told without reading them."""
        if "[" in self.source.split:
            return None
        counts = [self._known(file) for name in self.names for file in self.splits[name]]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def fetch_all(self) -> None:
        """Downloads every file that will be read."""
        fetch(self.repo, self.listing, self.files)

    def _of_split(self, name: str) -> Iterator[T]:
        for file in self.splits[name]:
            yield from self.read(self._path(file), f"{self.source.path}/{file.path}")

    def _path(self, file: Entry) -> Path:
        return fetch(self.repo, self.listing, [file]) / file.path

    def _parts(self) -> list[Any]:
        """Ranges of rows, as `datasets` understands a split like `train[:10%]`."""
        import datasets  # type: ignore[import-untyped, unused-ignore]

        lengths = {name: self._length(name) for name in dict.fromkeys(self.names)}
        with dataset_errors(self.source, self.repo):
            parts: list[Any] = datasets.ReadInstruction.from_spec(self.source.split).to_absolute(lengths)
        return parts

    def _length(self, name: str) -> int:
        return sum(self._rows_in(file) for file in self.splits[name])

    def _rows_in(self, file: Entry) -> int:
        count = self._known(file)
        return sum(1 for _ in self.read(self._path(file), file.path)) if count is None else count

    def _known(self, file: Entry) -> int | None:
        """How many rows a file says it has."""
        return parquet_count(self._path(file)) if file.path.endswith(".parquet") else None


def open_modelscope(source: Source, read: Read[T]) -> tuple[int | None, Iterator[T], int]:
    """Number of rows where known, the rows, and the number of files they are in.

    A source with a limit is downloaded file by file, no further than it is read. Raises what `open_hub` raises, and
    EnvironmentUnfitError without ModelScope's package; also while rows are read.
    """
    repo, listing = listing_of(source.path, source.revision, "dataset")
    splits = _splits(source, repo, listing)
    require_split(source, splits)
    data = ScopeData(source, repo, listing, splits, read)
    if source.limit is not None:
        return None, data.rows(), len(data.files)
    data.fetch_all()
    return data.count(), data.rows(), len(data.files)


def fetch_dataset(repo: str, revision: str | None) -> Path:
    """The folder with every data file of a dataset in it. Raises what `open_modelscope` raises."""
    found, listing = listing_of(repo, revision, "dataset")
    return fetch(found, listing, [file for file in listing.files if file.path == CARD or _is_data(file.path)])


def _splits(source: Source, repo: ScopeRepo, listing: Listing) -> dict[str, list[Entry]]:
    """The files of each split of the subset: `datasets` is shown the card, and empty files of the same names."""
    import datasets

    data = {entry.path: entry for entry in listing.files if _is_data(entry.path)}
    with TemporaryDirectory(prefix="dpo-data-") as place:
        shown, caches = Path(place).resolve() / "data", str(Path(place, "cache"))
        with dataset_errors(source, repo):
            for path in data:
                (shown / path).parent.mkdir(parents=True, exist_ok=True)
                (shown / path).touch()
        with dataset_errors(source, repo):
            _show_card(repo, listing, shown)
            try:
                builder = datasets.load_dataset_builder(str(shown), name=source.subset, cache_dir=caches)
            except ValueError:
                names = datasets.get_dataset_config_names(str(shown))
                if source.subset in names or (source.subset is None and len(names) == 1):
                    raise
                raise no_subset(source, names) from None
            found = builder.config.data_files or {}
            return {
                str(name): [_shown_entry(file, shown, data) for file in files]
                for name, files in found.items()
            }


def _shown_entry(file: str, shown: Path, data: Mapping[str, Entry]) -> Entry:
    """What an empty file stands for. Raises ValueError: a card can name whatever it likes."""
    path = file.removeprefix(f"{shown}/")
    if path not in data:
        raise ValueError(f"its card names {path} as data, which is none of its data files")
    return data[path]


def _show_card(repo: ScopeRepo, listing: Listing, shown: Path) -> None:
    """The card may say which files are of which subset."""
    for entry in listing.files:
        if entry.path == CARD:
            card = (fetch(repo, listing, [entry]) / CARD).read_bytes()
            if ELSEWHERE.search(_front_matter(card)):
                raise ValueError("its card names data of another place as its own")
            shown.mkdir(parents=True, exist_ok=True)
            (shown / CARD).write_bytes(card)


def _front_matter(card: bytes) -> bytes:
    """The settings that a card begins with; none of one without."""
    parts = re.split(rb"^---\s*$", card, maxsplit=2, flags=re.MULTILINE)
    return parts[1] if len(parts) == 3 and not parts[0].strip() else b""


def _is_data(path: str) -> bool:
    parts = PurePosixPath(path).parts
    name = parts[-1].lower().removesuffix(PACKED)
    return name.endswith(ENDINGS) and name not in METADATA and not any(part.startswith(".") for part in parts)
