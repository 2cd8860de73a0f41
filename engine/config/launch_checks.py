"""Checks of [launch]: how many devices there are, what they divide, and the job that has them."""

from collections.abc import Iterator

from engine.config.conflict import Conflict
from engine.config.explain import field_at
from engine.config.problems import shown_text
from engine.config.schema import Config

PLACES = ("run.name", "run.dir")


def devices(config: Config) -> Iterator[Conflict]:
    """Several devices need a strategy that uses them, an offload one that can, and each device a pair."""
    launch = config.launch
    several = ("ddp", "zero1", "zero2", "zero3")
    counted = ("launch", "devices") if launch.launcher == "local" else ("launch", "slurm")
    if launch.strategy == "single" and launch.world > 1:
        yield Conflict(
            (("launch", "strategy"), counted),
            f"'single' is for one device, and there are {launch.world}; leave it out, or choose one of "
            f"{', '.join(several)}",
            "devices.single",
            {"devices": launch.world},
        )
    if launch.offload != "none" and launch.strategy in ("single", "ddp"):
        yield Conflict(
            (("launch", "offload"), ("launch", "strategy")),
            f"only works with zero1, zero2 or zero3, and strategy is '{launch.strategy}'",
            "devices.offload",
            {"strategy": launch.strategy},
        )
    if launch.offload == "all" and launch.strategy in ("zero1", "zero2"):
        yield Conflict(
            (("launch", "offload"), ("launch", "strategy")),
            f"'all' offloads weights, which only zero3 divides, and strategy is '{launch.strategy}'; set it to "
            "'optimizer'",
            "devices.offload_all",
            {"strategy": launch.strategy},
        )
    if launch.world % launch.sequence_parallel:
        yield Conflict(
            (("launch", "sequence_parallel"), counted),
            f"must divide the number of devices, {launch.world}; found {launch.sequence_parallel}",
            "devices.sequence",
            {"devices": launch.world, "found": launch.sequence_parallel},
        )
    elif config.train.pairs_per_step < launch.shares:
        yield Conflict(
            (("train", "pairs_per_step"), counted),
            f"must be at least {launch.shares}, a pair for each device; found {config.train.pairs_per_step}",
            "devices.pairs",
            {"devices": launch.shares, "found": config.train.pairs_per_step},
        )


def job(config: Config) -> Iterator[Conflict]:
    """On a cluster the job counts the devices; a sweep changes what is trained, by keys that exist."""
    launch = config.launch
    if launch.launcher == "slurm" and launch.devices > 1:
        yield Conflict(
            (("launch", "devices"), ("launch", "launcher")),
            "counts the devices of this machine; of a Slurm job it is launch.slurm.nodes times gpus_per_node. "
            "Leave it out",
            "job.devices",
        )
    slurm = launch.job
    if slurm.gpu_type is not None and not slurm.gpus_per_node:
        yield Conflict(
            (("launch", "slurm", "gpu_type"), ("launch", "slurm", "gpus_per_node")),
            "there is no type of GPU where gpus_per_node is 0; say how many, or leave it out",
            "job.gpu_type",
        )
    if slurm.array and launch.launcher == "local":
        yield Conflict(
            (("launch", "slurm", "array"), ("launch", "launcher")),
            "only works with launcher = 'slurm'",
            "job.array_local",
        )
    if slurm.time is not None and (limit := seconds(slurm.time)) and slurm.grace >= limit:
        yield Conflict(
            (("launch", "slurm", "grace"), ("launch", "slurm", "time")),
            f"must be less than the {limit} seconds of launch.slurm.time, or the job stops as soon as it begins; "
            f"found {slurm.grace}",
            "job.grace",
            {"limit": limit, "found": slurm.grace},
        )
    for key, values in (slurm.array or {}).items():
        place = ("launch", "slurm", "array", key)
        if not values:
            yield Conflict((place,), "has no value: write a list, as in [0.05, 0.1]", "job.no_values")
        elif not _may_vary(key):
            yield Conflict(
                (place,),
                f"{shown_text(key)} is no key that a sweep can vary: name one like 'objective.beta'",
                "job.unknown_key",
                {"found": shown_text(key)},
            )


def seconds(time: str) -> int:
    """Slurm's words for a time as seconds; 0 is no limit."""
    days, dash, clock = time.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if dash:  # days-hours[:minutes[:seconds]]
        parts += [0] * (3 - len(parts))
    elif len(parts) < 3:  # minutes[:seconds]
        parts = [0, *parts, 0][:3] if len(parts) == 1 else [0, *parts]
    hours, minutes, rest = parts
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + rest


def _may_vary(key: str) -> bool:
    """Whether it is a key of what is trained, not of the place or the job."""
    path = tuple(key.split("."))
    return path[0] not in ("launch", "gates", "export") and key not in PLACES and field_at(path) is not None
