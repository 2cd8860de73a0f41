"""What a training will take of this machine's memory, told from the model's sizes alone."""

from dpo_tui.wizard.machine import Machine
from engine.config.schema import Config
from engine.forecast import Forecast, forecast
from engine.shape import ModelShape


def foreseen(config: Config, shape: ModelShape | None, machine: Machine) -> Forecast | None:
    """On the smallest GPU, or on the CPU; None where the model's sizes are not known, or the
    GPUs are not, as those of a cluster.
    """
    if shape is None or machine.unknown or config.launch.launcher != "local":
        return None
    if machine.gpus:
        return forecast(config, shape, "cuda", min(gpu.memory for gpu in machine.gpus))
    return forecast(config, shape, "cpu", machine.memory // config.launch.per_node)
