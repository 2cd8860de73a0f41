"""What a cluster has: its partitions, as sinfo lists them."""

import re
from dataclasses import dataclass

from engine.launch.slurm.command import call

_FORMAT = "%P|%a|%l|%D|%G|%c|%m"
_GPUS = re.compile(r"gpu:(?:([A-Za-z0-9_.-]+):)?([0-9]+)")
_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition's nodes of one kind: how many, and the GPUs, cores and MiB of memory of each."""

    name: str
    default: bool
    up: bool
    time: str
    """Its longest time limit, in Slurm's words."""
    nodes: int
    gpu_type: str | None
    gpus: int
    cores: int
    memory: int


def partitions() -> list[Partition]:
    """Those of this cluster, the default first. Raises OSError where there is no sinfo, or it does not answer."""
    answer = call(["sinfo", "--noheader", f"--format={_FORMAT}"], _PATIENCE)
    if refusal := answer.refusal:
        raise OSError(refusal)
    found = [partition for line in answer.out.splitlines() if (partition := _partition(line))]
    return sorted(found, key=lambda partition: not partition.default)


def _partition(line: str) -> Partition | None:
    """A line of sinfo; None for one of another shape."""
    parts = line.split("|")
    if len(parts) != 7 or not parts[3].isdigit():
        return None
    name, up, time, nodes, resources, cores, memory = parts
    gpus = _GPUS.search(resources)
    return Partition(
        name=name.removesuffix("*"),
        default=name.endswith("*"),
        up=up == "up",
        time=time,
        nodes=int(nodes),
        gpu_type=gpus[1] if gpus else None,
        gpus=int(gpus[2]) if gpus else 0,
        cores=_least(cores),
        memory=_least(memory),
    )


def _least(number: str) -> int:
    """A number of Slurm's; "64+" is at least that."""
    digits = number.rstrip("+")
    return int(digits) if digits.isdigit() else 0
