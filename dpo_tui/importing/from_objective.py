"""Rows of the table: the objective, the optimizer, and the course of its learning rate."""

import math
from collections.abc import Callable, Iterator, Mapping

from dpo_tui.importing.findings import Finding, Origin, Remark, Taken
from dpo_tui.importing.settings import Settings, symbol_of
from dpo_tui.importing.values import Place, Value, is_number

WRAPPER = "optim_wrapper"
OPTIMIZER = f"{WRAPPER}.optimizer"
SCHEDULER = "param_scheduler"
LOOP = "train_cfg"

_ADAMW = ("AdamW", "PagedAdamW", "PagedAdamW32bit", "FusedAdam", "DeepSpeedCPUAdam")
"""Optimizers that compute what AdamW on fp32 states does."""

_SMOOTHED = ("sigmoid", "robust")
_BETAS, _EPSILON = (0.9, 0.999), 1e-8


def loss(settings: Settings) -> Iterator[Finding]:
    """The loss by its name, which is ours too."""
    taken = settings.take("model.loss_type", str)
    name, written = taken or ("sigmoid", None)
    smoothing = settings.take("model.label_smoothing", float)
    smoothed = smoothing is not None and smoothing[0] > 0
    plain_dpo = name == "robust" and not smoothed
    if written is not None:
        yield Taken("objective.loss", "sigmoid" if plain_dpo else name, (written,))
    if name in ("ipo", "kto_pair") or plain_dpo:
        yield Remark("differs", name, "objective.loss")
    if smoothing is not None and smoothed:
        if name in _SMOOTHED:
            yield Taken("objective.label_smoothing", smoothing[0], (smoothing[1],))
        else:
            yield Remark(
                "differs", "smoothing", "objective.label_smoothing", smoothing[1].place, {"loss": name}
            )


def plain(key: str, path: str) -> Callable[[Settings], Iterator[Finding]]:
    """A row for a number that means the same here."""

    def row(settings: Settings) -> Iterator[Finding]:
        taken = settings.take(path, float)
        if taken is not None:
            yield Taken(key, taken[0], (taken[1],))

    return row


def optimizer(settings: Settings) -> Iterator[Finding]:
    """AdamW with its usual moments; what is another optimizer cannot be had here."""
    kind = settings.symbol(f"{OPTIMIZER}.type")
    place = value.place if (value := settings.find(f"{OPTIMIZER}.type")) else None
    if kind is not None and kind.last not in _ADAMW:
        yield Remark("lost", "optimizer", f"{OPTIMIZER}.type", place, {"found": kind.last})
    betas = settings.find(f"{OPTIMIZER}.betas")
    if betas is not None and betas.data is not None:
        entries = betas.data if isinstance(betas.data, tuple) else ()
        if tuple(entry.data for entry in entries) != _BETAS:
            yield Remark("lost", "betas", f"{OPTIMIZER}.betas", betas.place)
    epsilon = settings.take(f"{OPTIMIZER}.eps", float)
    if epsilon is not None and epsilon[0] != _EPSILON:
        yield Remark("lost", "epsilon", f"{OPTIMIZER}.eps", epsilon[1].place, {"found": epsilon[0]})
    settings.see(f"{OPTIMIZER}.betas")
    settings.pass_over(f"{WRAPPER}.loss_scale", *(f"{OPTIMIZER}.{name}" for name in ("fused", "foreach")))


def weight_decay(settings: Settings) -> Iterator[Finding]:
    """torch's AdamW decays unless it is told not to, and decays all weights."""
    taken = settings.take(f"{OPTIMIZER}.weight_decay", float)
    found = settings.find(OPTIMIZER)
    if taken is not None:
        value, origins = taken[0], (taken[1],)
    elif found is not None and symbol_of(found) == "AdamW":
        value, origins = 0.01, (Origin(f"{OPTIMIZER}.type", found.place),)
    else:
        return
    yield Taken("optimizer.weight_decay", value, origins)
    if value > 0:
        yield Remark("differs", "decay", "optimizer.weight_decay")


def clipping(settings: Settings) -> Iterator[Finding]:
    """Gradients by their L2 norm; without it they stay as they are."""
    path = f"{WRAPPER}.clip_grad"
    value = settings.find(path)
    if value is None or value.data is None:
        yield Taken("optimizer.max_grad_norm", 0.0)
        yield Remark("differs", "unclipped", "optimizer.max_grad_norm")
        return
    norm = settings.take(f"{path}.max_norm", float)
    kind = settings.take(f"{path}.norm_type", float)
    if norm is None or (kind is not None and kind[0] != 2):
        yield Remark("lost", "clipping", path, value.place)
    else:
        yield Taken("optimizer.max_grad_norm", norm[0], (norm[1],))
    settings.see(f"{path}.error_if_nonfinite", f"{path}.type")


def schedule(settings: Settings) -> Iterator[Finding]:
    """A warm-up from almost nothing, then a course to 0: the two schedulers that XTuner's configs have."""
    found = settings.find(SCHEDULER)
    if found is None or found.data is None:
        yield Taken("optimizer.schedule", "constant")
        yield Taken("optimizer.warmup_ratio", 0.0)
        return
    parts = found.data if isinstance(found.data, tuple) else (found,)
    if not all(isinstance(part.data, Mapping) for part in parts):
        settings.lose(SCHEDULER, found)
        return
    settings.see(SCHEDULER)
    warm = [
        part for part in parts if symbol_of(part) == "LinearLR" and _number(part, "end_factor", 1.0) == 1.0
    ]
    after = [part for part in parts if not any(part is one for one in warm)]
    yield from _warmup(settings, warm)
    yield from _course(settings, after, found)


def _warmup(settings: Settings, warm: list[Value]) -> Iterator[Finding]:
    if not warm:
        yield Taken("optimizer.warmup_ratio", 0.0)
        return
    length = _end(settings, by_epoch=_flag(warm[0], "by_epoch"))
    end = _number(warm[0], "end", math.nan)
    if length is None or not 0 <= end < length:
        yield Remark("lost", "warmup", SCHEDULER, warm[0].place)
        return
    ratio = round(end / length, 6)
    constant = settings.names.get("warmup_ratio")
    where = Origin(f"{SCHEDULER}: LinearLR", _line(warm[0], "end"))
    if constant is not None and constant.data == ratio:
        where = Origin("warmup_ratio", constant.place)
    yield Taken("optimizer.warmup_ratio", ratio, (where,))
    yield Remark("differs", "warmup", "optimizer.warmup_ratio")


def _course(settings: Settings, after: list[Value], found: Value) -> Iterator[Finding]:
    """One scheduler more, or none."""
    if not after:
        yield Taken("optimizer.schedule", "constant", (Origin(SCHEDULER, found.place),))
        return
    kind, last = symbol_of(after[0]), after[0]
    where = (Origin(f"{SCHEDULER}: {kind}", _line(last, "type")),)
    names = {"CosineAnnealingLR": "cosine", "LinearLR": "linear", "ConstantLR": "constant"}
    constant = kind == "ConstantLR" and _number(last, "factor", math.nan) != 1
    if len(after) > 1 or kind not in names or constant:
        yield Remark("lost", "schedule", SCHEDULER, last.place, {"found": kind or "?"})
        return
    yield Taken("optimizer.schedule", names[kind], where)
    ends = ("eta_min", "eta_min_ratio") if kind == "CosineAnnealingLR" else ("end_factor",)
    for name in ends:
        if _number(last, name, 0.0) != 0:
            yield Remark("lost", "ends_above", f"{SCHEDULER}: {name}", _line(last, name))
    length, begin = _end(settings, by_epoch=_flag(last, "by_epoch")), _number(last, "begin", 0.0)
    for name, start in (("end", 0.0), ("T_max", begin)):
        if length is not None and start + _number(last, name, length) < length:
            yield Remark("lost", "ends_early", f"{SCHEDULER}: {name}", _line(last, name))


def _end(settings: Settings, *, by_epoch: bool) -> float | None:
    """How long the training is, in epochs or in iterations, where the config says it."""
    value = settings.find(f"{LOOP}.{'max_epochs' if by_epoch else 'max_iters'}")
    return float(value.data) if value is not None and is_number(value.data) else None  # type: ignore[arg-type]


def _number(part: Value, name: str, default: float) -> float:
    """A number of a scheduler; NaN for what is none."""
    entry = part.data.get(name) if isinstance(part.data, Mapping) else None
    if entry is None or entry.data is None:
        return default
    return float(entry.data) if is_number(entry.data) else math.nan  # type: ignore[arg-type]


def _flag(part: Value, name: str) -> bool:
    entry = part.data.get(name) if isinstance(part.data, Mapping) else None
    return entry is None or entry.data is not False


def _line(part: Value, name: str) -> Place:
    """Where a setting of a scheduler stands."""
    entry = part.data.get(name) if isinstance(part.data, Mapping) else None
    return (entry or part).place
