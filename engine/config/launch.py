"""The table [launch]: what starts the training processes, and what they divide."""

from typing import Literal

from pydantic import Field

from engine.config.section import Section, Text
from engine.config.slurm import Slurm


class Launch(Section):
    """What starts the training processes."""

    launcher: Literal["local", "slurm"] = Field(
        "local", description="This machine, or a job on a Slurm cluster that [launch.slurm] describes."
    )
    devices: int = Field(
        1,
        ge=1,
        le=1024,
        description="Training processes on this machine, one a device; for launcher = local.",
    )
    strategy: Literal["auto", "single", "ddp", "zero1", "zero2", "zero3"] = Field(
        "auto",
        description="What the devices divide: nothing (ddp), the optimizer (zero1), gradients as well (zero2), weights "
        "as well (zero3); auto takes the first that fits the memory.",
    )
    offload: Literal["none", "optimizer", "all"] = Field(
        "none",
        description="What a ZeRO strategy keeps in the host's memory: slower, for models that fit no other way.",
    )
    sequence_parallel: int = Field(
        1,
        ge=1,
        le=64,
        description="Devices that share the tokens of each pair, for pairs too long for one; it divides the number of "
        "devices.",
    )
    deepspeed: Text | None = Field(
        None, description="JSON file with more keys for DeepSpeed; what the config says itself must agree."
    )
    slurm: Slurm | None = Field(
        None, description="The job that launcher = slurm sends to the cluster; absent: one node, its CPUs."
    )

    @property
    def job(self) -> Slurm:
        """The job's table, with what it leaves out."""
        return self.slurm or Slurm()

    @property
    def per_node(self) -> int:
        """Training processes on each machine."""
        return self.devices if self.launcher == "local" else max(1, self.job.gpus_per_node)

    @property
    def world(self) -> int:
        """Training processes in all."""
        return self.per_node if self.launcher == "local" else self.job.nodes * self.per_node

    @property
    def shares(self) -> int:
        """How many packs are computed at a time: the processes, less those that share one."""
        return self.world // self.sequence_parallel
