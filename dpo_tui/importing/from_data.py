"""Rows of the table: where the pairs come from, and how long they may be."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dpo_tui.importing.findings import Finding, Origin, Remark, Taken
from dpo_tui.importing.settings import Settings, origin, place_of, source_of
from dpo_tui.importing.values import Place, Symbol, Value

LOADER = "train_dataloader"

_KNOWN_MAPS = ("orpo_dpo_mix_40k_map_fn", "intel_orca_dpo_map_fn")
"""Functions of XTuner that bring rows into shape; our layouts read those rows as they are."""

_FILE_KINDS = ("json", "csv", "parquet", "arrow")
"""Paths that `load_dataset` takes for a kind of file."""

_READ_FOLDERS = (".jsonl", ".json", ".csv", ".parquet", ".arrow", ".ndjson")
_MOST_SOURCES = 100


@dataclass(frozen=True, slots=True)
class _Place:
    """One place that rows are read from."""

    source: str
    path: str
    origin: Origin
    subset: tuple[str, Origin] | None = None
    split: tuple[str, Origin] | None = None
    revision: tuple[str, Origin] | None = None


def sources(settings: Settings) -> Iterator[Finding]:
    """Every data set, of those that are joined too; a table of ours for each place or file."""
    index = 0
    for path in dataset_paths(settings):
        for place in _places(settings, f"{path}.dataset"):
            if index == _MOST_SOURCES:
                settings.remarks.append(Remark("lost", "sources", path, None, {"most": _MOST_SOURCES}))
                return
            table = f"data.sources.{index}"
            yield Taken(f"{table}.source", place.source, (place.origin,))
            yield Taken(f"{table}.path", place.path, (place.origin,))
            for key in ("subset", "split", "revision"):
                if (extra := getattr(place, key)) is not None:
                    yield Taken(f"{table}.{key}", extra[0], (extra[1],))
            index += 1
        yield from _rows(settings, path)


def lengths(settings: Settings) -> Iterator[Finding]:
    """The longest pair; XTuner knows no limit for the prompt alone."""
    taken = None
    for path in dataset_paths(settings):
        found = settings.take(f"{path}.max_length", int)
        if taken is not None and found is not None and found[0] != taken[0]:
            yield Remark("lost", "lengths", f"{path}.max_length", found[1].place)
        taken = taken or found
    if taken is None:
        return
    most, written = taken
    yield Taken("data.max_length", most, (written,))
    yield Taken("data.max_prompt_length", max(1, most * 3 // 4))
    yield Remark("differs", "prompt", "data.max_prompt_length", None, {"left": most - max(1, most * 3 // 4)})


def packing(settings: Settings) -> Iterator[Finding]:
    """Packing is no choice here."""
    for path in dataset_paths(settings):
        packed = settings.take(f"{path}.use_varlen_attn", bool)
        longest = settings.take(f"{path}.max_packed_length", int)
        settings.see(f"{path}.shuffle_before_pack")
        if packed is not None and packed[0]:
            where = longest[1].place if longest else packed[1].place
            yield Remark("differs", "packing", "train.tokens_per_pack", where)


def held_out(_: Settings) -> Iterator[Finding]:
    """XTuner trains on every pair."""
    yield Taken("data.eval_fraction", 0.0)
    yield Remark("differs", "held_out", "data.eval_fraction")


def loading(settings: Settings) -> Iterator[Finding]:
    """How the pairs get to the model, which is nobody's concern here, but for their order."""
    shuffled = settings.take(f"{LOADER}.sampler.shuffle", bool)
    if shuffled is not None and not shuffled[0]:
        yield Remark("lost", "order", f"{LOADER}.sampler.shuffle", shuffled[1].place)
    names = ("num_workers", "persistent_workers", "pin_memory", "prefetch_factor", "collate_fn", "drop_last")
    settings.pass_over(*(f"{LOADER}.{name}" for name in names))
    settings.see(f"{LOADER}.sampler", f"{LOADER}.batch_sampler")


def dataset_paths(settings: Settings) -> list[str]:
    """Where the data sets are described: in the loader or beside it, one or several that are joined."""
    root = f"{LOADER}.dataset"
    in_loader, beside = settings.find(root), settings.names.get("train_dataset")
    same = in_loader is not None and beside is not None and in_loader.data is beside.data
    if same or in_loader is None or not isinstance(in_loader.data, Mapping):
        settings.see(root)
        root = "train_dataset"
    for key in ("datasets", "dataset.datasets"):
        joined = _data(settings, f"{root}.{key}")
        if isinstance(joined, tuple):
            settings.see(f"{root}.type")
            return [f"{root}.{key}.{index}" for index in range(min(len(joined), _MOST_SOURCES))]
    return [root]


def _data(settings: Settings, path: str) -> object:
    value = settings.find(path)
    return None if value is None else value.data


def _places(settings: Settings, path: str) -> Iterator[_Place]:
    """The places that a `dict(type=load_dataset, ...)` or a `dict(type=load_jsonl_dataset, ...)` reads."""
    value = settings.find(path)
    if value is None:
        return
    if not isinstance(value.data, Mapping):
        settings.lose(path, value)
        return
    kind = settings.symbol(f"{path}.type")
    settings.see(f"{path}.type")
    if kind is not None and kind.last == "load_jsonl_dataset":
        yield from _files(settings, path)
    elif kind is not None and (kind.last == "load_dataset" or kind.dotted.endswith("MsDataset.load")):
        yield from _loaded(settings, path, kind)
    else:
        found = kind.last if kind is not None else "?"
        settings.remarks.append(Remark("lost", "reader", path, value.place, {"found": found}))


def _loaded(settings: Settings, path: str, kind: Symbol) -> Iterator[_Place]:
    """A repo, a folder, or files of a kind."""
    modelscope = kind.dotted.endswith("MsDataset.load")
    name = settings.take(f"{path}.path", str)
    name = name or (settings.take(f"{path}.dataset_name", str) if modelscope else None)
    if name is None:
        return
    if name[0] in _FILE_KINDS:
        yield from _files(settings, path)
        return
    subset = settings.take(f"{path}.{'subset_name' if modelscope else 'name'}", str)
    split, revision = settings.take(f"{path}.split", str), settings.take(f"{path}.revision", str)
    settings.pass_over(
        *(f"{path}.{name}" for name in ("num_proc", "cache_dir", "trust_remote_code", "token"))
    )
    source = "modelscope" if modelscope else source_of(name[0])
    yield _Place(source, name[0], name[1], subset, split, revision)


def _files(settings: Settings, path: str) -> Iterator[_Place]:
    """Files by their names, or a folder of them."""
    folder = settings.take(f"{path}.data_dir", str)
    if folder is not None:
        ending = settings.take(f"{path}.suffix", str)
        yield _Place("local", folder[0], folder[1])
        known = ending is not None and ending[0] in _READ_FOLDERS
        place = folder[1].place
        settings.remarks.append(Remark("differs" if known else "lost", "folder", f"{path}.data_dir", place))
        return
    settings.see(f"{path}.suffix", f"{path}.split")
    where = f"{path}.data_files"
    files = settings.find(where)
    if files is None or files.data is None:
        return
    for number, file in enumerate(_listed(files)):
        if isinstance(file.data, str) and not set(file.data) & set("*?["):
            yield _Place("local", file.data, origin(f"{where}.{number}", file))
        else:
            settings.lose(f"{where}.{number}", file)
    settings.see(where)


def _listed(files: Value) -> tuple[Value, ...]:
    """File names: one, several, or those of the split to train on."""
    if isinstance(files.data, Mapping):
        inner = files.data.get("train")
        return (
            (files,) if inner is None else _listed(inner) if not isinstance(inner.data, Mapping) else (inner,)
        )
    return files.data if isinstance(files.data, tuple) else (files,)


def _rows(settings: Settings, path: str) -> Iterator[Finding]:
    """What is done to each row: our layouts do without."""
    value = settings.find(f"{path}.dataset_map_fn")
    kind = settings.symbol(f"{path}.dataset_map_fn")
    if kind is not None and kind.last not in _KNOWN_MAPS:
        yield Remark("lost", "rows", f"{path}.dataset_map_fn", place_of(value), {"found": kind.last})
    settings.see(
        *(f"{path}.{name}" for name in ("type", "is_dpo", "is_reward", "reward_token_id", "tokenizer"))
    )
    settings.pass_over(f"{path}.num_proc")


def reward_model(settings: Settings) -> Place | None:
    """The line that makes the pairs those of a reward model, if there is one."""
    for path in dataset_paths(settings):
        for name, sign in (("is_reward", True), ("is_dpo", False)):
            value = settings.find(f"{path}.{name}")
            if value is not None and value.data is sign:
                return value.place
    return None
