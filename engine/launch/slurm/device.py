"""What each training process of a job will have to itself, told before the job is sent."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.config.schema import Config
from engine.config.slurm import Slurm
from engine.launch.slurm.cluster import Partition, partitions
from engine.launch.slurm.gpus import memory_of
from engine.memory import Device

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_MIB = _UNITS["M"]


@dataclass(frozen=True, slots=True)
class JobDevice:
    """A GPU, or a node's memory where a job has no GPUs."""

    device: Device
    kind: str = ""
    """The GPU in the cluster's own word; empty where that is not known."""
    sizes: tuple[int, ...] = ()
    """Bytes it may have, the least first; none where that is not known."""

    @property
    def room(self) -> int | None:
        """Bytes that it has for certain."""
        return self.sizes[0] if self.sizes else None


def job_device(config: Config) -> JobDevice:
    """The device of the config's job. Where the config leaves that open, sinfo is asked, for up to 20 seconds."""
    job = config.launch.job
    if not job.gpus_per_node:
        return JobDevice("cpu", sizes=_of_node(job))
    kinds = (
        [job.gpu_type] if job.gpu_type else sorted({node.gpu_type or "" for node in _nodes(job) if node.gpus})
    )
    sold = [memory_of(kind) for kind in kinds]
    known = sorted({size << 30 for sizes in sold for size in sizes}) if all(sold) else []
    return JobDevice("cuda", ", ".join(filter(None, kinds)), tuple(known))


def _of_node(job: Slurm) -> tuple[int, ...]:
    """What the job asks of each node, 0 being all there is; without a word it is the partition's to say."""
    if job.mem is None:
        return ()
    number, unit = (job.mem[:-1], job.mem[-1]) if job.mem[-1] in _UNITS else (job.mem, "M")
    if asked := int(number) * _UNITS[unit]:
        return (asked,)
    return tuple(sorted({node.memory * _MIB for node in _nodes(job) if node.memory}))


def _nodes(job: Slurm) -> Sequence[Partition]:
    """The kinds of nodes the job may get; none where the cluster does not answer."""
    try:
        found = partitions()
    except OSError:
        return ()
    return [node for node in found if (node.name == job.partition if job.partition else node.default)]
