"""What the devices of a training divide among them, where a config leaves that open: the least that fits."""

from dataclasses import dataclass, replace

from engine.config.schema import Config
from engine.memory import Setup, Strategy, estimate, gib
from engine.remedy import Pairs, fits

TRIED: tuple[Strategy, ...] = ("ddp", "zero1", "zero2", "zero3")
"""From the one that talks least to the one that holds least."""
WORTHWHILE = 2048
"""Tokens of a pack, if a step has as many: with smaller ones a device is not kept busy."""


@dataclass(frozen=True, slots=True)
class StrategyChoice:
    """The strategy, and in words why it is that one."""

    strategy: Strategy
    reason: str


ALONE = StrategyChoice("single", "there is one device")


def choose_strategy(config: Config, setup: Setup | None, pairs: Pairs, room: int) -> StrategyChoice:
    """The config's own strategy, or the first that fits `room` bytes on each device."""
    launch = config.launch
    if launch.strategy != "auto":
        return StrategyChoice(launch.strategy, "the config says so")
    if launch.offload != "none":
        stage: Strategy = "zero3" if launch.offload == "all" else "zero2"
        return StrategyChoice(stage, f'launch.offload = "{launch.offload}" needs it')
    if launch.world == 1:
        return ALONE
    if setup is None:
        return StrategyChoice("ddp", "the model's sizes are not known")
    return _first_that_fits(setup, pairs, room)


def _first_that_fits(setup: Setup, pairs: Pairs, room: int) -> StrategyChoice:
    refused: list[str] = []
    tried = TRIED[:-1] if setup.quantized else TRIED  # weights in 4 bits are not divided
    for strategy in tried:
        total = estimate(replace(setup, strategy=strategy), pairs.work(WORTHWHILE)).total
        if fits(total, room):
            why = "nothing has to be divided" if not refused else "the first that fits"
            told = ", ".join([*refused, f"{strategy} {gib(total)}"])
            return StrategyChoice(strategy, f"{why}: {told} of {gib(room)} GiB")
        refused.append(f"{strategy} {gib(total)}")
    return StrategyChoice(tried[-1], f"none fits for certain: {', '.join(refused)} of {gib(room)} GiB")
