"""What a training will take of this machine's memory, or of a cluster's GPUs, told from the model's sizes alone."""

from dpo_tui.wizard.machine import Machine
from engine.config.schema import Config
from engine.forecast import Forecast, forecast
from engine.launch.slurm.device import JobDevice
from engine.shape import ModelShape


def foreseen(
    config: Config, shape: ModelShape | None, machine: Machine, job: JobDevice | None = None
) -> Forecast | None:
    """On the smallest GPU, or on the CPU, of this machine or of a `job`; None where the model's sizes or the
    memory that is there are not known.
    """
    if shape is None:
        return None
    if config.launch.launcher == "slurm":
        return None if job is None or job.room is None else forecast(config, shape, job.device, job.room)
    if machine.unknown:
        return None
    if machine.gpus:
        return forecast(config, shape, "cuda", min(gpu.memory for gpu in machine.gpus))
    return forecast(config, shape, "cpu", machine.memory // config.launch.per_node)
