"""A foreign config as one of ours: every row of the table, then the checks that every config of ours goes through."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dpo_tui.importing.findings import Remark, Taken
from dpo_tui.importing.from_data import dataset_paths, reward_model
from dpo_tui.importing.from_model import ID
from dpo_tui.importing.module import Module, Skipped
from dpo_tui.importing.sentences import sentence
from dpo_tui.importing.settings import Settings, reason, symbol_of, why
from dpo_tui.importing.table import ROWS
from dpo_tui.importing.values import Called, Place, Unread, Value, safe
from engine.config.problems import ConfigError, Fault, Problem, dotted
from engine.config.strings import masked
from engine.config.validate import find_faults
from engine.exits import UsageError
from engine.sanitize import one_line

LIKE = 'model = dict(type=DPO, llm=dict(pretrained_model_name_or_path="..."))'


@dataclass(frozen=True, slots=True)
class Imported:
    """Settings of ours that go together, with remarks on what differs and what was lost, and what was not read."""

    path: Path
    taken: tuple[Taken, ...]
    remarks: tuple[Remark, ...]
    skipped: tuple[Skipped, ...]
    idle: tuple[str, ...]

    def values(self) -> dict[str, Any]:
        """The config as plain tables."""
        return tables(self.taken)


def import_config(path: Path) -> Imported:
    """Read and convert `path`. Raises UsageError for a file that is no DPO config of XTuner's, or lacks what it needs,
    and ConfigError for values that no config of ours can have, each with its line in the file."""
    module = Module(path).read()
    settings = Settings(module)
    _require_dpo(path, module, settings)
    found = [finding for row in ROWS for finding in row.read(settings)]
    taken = tuple(finding for finding in found if isinstance(finding, Taken))
    _require(path, settings, taken)
    left = [_left_over(name, value) for name, value in settings.left_over()]
    remarks = [finding for finding in found if isinstance(finding, Remark)]
    imported = Imported(
        path, taken, (*remarks, *settings.remarks, *left), tuple(module.skipped), tuple(settings.idle)
    )
    _require_valid(imported)
    return imported


def _left_over(name: str, value: Value) -> Remark:
    if isinstance(value.data, Unread | Called):
        return Remark("lost", "unread", name, value.place, {"why": reason(value)})
    return Remark("lost", "left_over", name, value.place)


def tables(taken: tuple[Taken, ...]) -> dict[str, Any]:
    """Dotted keys as nested tables; the numbered ones as a list."""
    root: dict[str, Any] = {}
    for one in taken:
        *above, last = one.key.split(".")
        table: Any = root
        for part, following in zip(above, [*above[1:], last], strict=True):
            if isinstance(table, list):
                table += [{}] if int(part) == len(table) else []
                table = table[int(part)]
            else:
                table = table.setdefault(part, [] if following.isdigit() else {})
        table[last] = one.value
    return root


def _require_dpo(path: Path, module: Module, settings: Settings) -> None:
    """Raises UsageError for a config that trains otherwise, or of which that cannot be told."""
    shown, model = one_line(str(path)), settings.find("model")
    if model is None and not module.skipped:
        text = f"{shown}: no DPO config of XTuner's: it has no {LIKE}"
        raise UsageError("import.not_xtuner", text, path=shown, like=LIKE)
    if model is None or not isinstance(model.data, Mapping):
        place, because = (
            (model.place, reason(model))
            if model
            else (module.skipped[0].place, why(module.skipped[0].unread))
        )
        raise _needed(path, "model", "model.id", place, because)
    kind = symbol_of(model)
    line: Place | None = model.place
    if kind == "DPO":
        kind, line = "RewardModel", reward_model(settings)
    if kind != "DPO" and line is not None:
        where, shown = _where(path, line), safe(kind) or "?"
        text = f"{where}: trains by {shown}, not by DPO; only DPO configs are imported"
        raise UsageError("import.not_dpo", text, path=where, kind=shown)


def _require(path: Path, settings: Settings, taken: tuple[Taken, ...]) -> None:
    """The model and the pairs: without them there is nothing to write."""
    keys = {one.key for one in taken}
    for key, where in (("model.id", ID), ("data.sources.0.path", f"{dataset_paths(settings)[0]}.dataset")):
        if key not in keys:
            lost = next((one for one in settings.remarks if one.about.startswith(where)), None)
            nearest = settings.nearest(where)
            place = lost.place if lost is not None else nearest.place if nearest is not None else None
            raise _needed(path, where, key, place, sentence(lost) if lost is not None else "")


def _needed(path: Path, where: str, key: str, place: Place | None, because: str) -> UsageError:
    """Nothing can be written without the setting `where`, which is our `key`."""
    line = _where(path, place)
    text = (
        f"{line}: {where} is needed for {key}, and cannot be read from the file"
        f"{f' ({because})' if because else ''}; write the name or path there in quotes"
    )
    case = "why" if because else ""
    return UsageError("import.needed", text, path=line, where=where, key=key, why=because, case=case)


def _where(path: Path, place: Place | None) -> str:
    """`file:line`, of the base where the line is in one."""
    if place is None:
        return one_line(str(path))
    return f"{one_line(place.file or str(path))}:{place.line}"


def _require_valid(imported: Imported) -> None:
    """Raises ConfigError with all faults at once, at the lines of the foreign file that led to them."""
    faults = find_faults(imported.values())
    problems = [_problem(imported, fault) for fault in faults]
    if problems:
        raise ConfigError(problems)


def _problem(imported: Imported, fault: Fault) -> Problem:
    key = ".".join(map(str, fault.key))
    origins = [
        origin for one in imported.taken if f"{key}.".startswith(f"{one.key}.") for origin in one.origins
    ]
    place = next((origin.place for origin in origins if origin.place is not None), None)
    source = one_line(str(imported.path)) if place is None or not place.file else place.file
    line = place.line if place is not None else None
    return Problem(source, line, masked(dotted(fault.key)), fault.text, fault.code, fault.params)
