"""What a training by a config will take of a device's memory, before anything is loaded: for a dry run and the wizard.

What only the run itself knows is taken at its worst: every pair as long as it may be, nothing compiled unless the
config says so, attention without the CPU's own kernel.
"""

from dataclasses import dataclass, replace
from typing import Any

from engine.config.schema import Config
from engine.launch.strategy import ALONE, StrategyChoice, choose_strategy
from engine.memory import MOST_TOKENS, Device, Estimate, Setup, estimate
from engine.precision import computing_type, processor_has_bf16
from engine.remedy import Pairs, Remedy, fits, largest_pack, remedy
from engine.shape import ModelShape


@dataclass(frozen=True, slots=True)
class Forecast:
    """The peak expected on a device with `room` bytes, and what would make it fit where it may not."""

    estimate: Estimate
    tokens_per_pack: int
    room: int
    remedy: Remedy | None
    chosen: StrategyChoice = ALONE

    @property
    def fits(self) -> bool:
        return fits(self.estimate.total, self.room)

    def to_json(self) -> dict[str, Any]:
        change = self.remedy and {
            "keys": self.remedy.keys,
            "text": str(self.remedy),
            "total": self.remedy.total,
        }
        return {
            **self.estimate.to_json(),
            "room": self.room,
            "fits": self.fits,
            "tokens_per_pack": self.tokens_per_pack,
            "remedy": change,
            "strategy": self.chosen.strategy,
            "reason": self.chosen.reason,
        }


def forecast(
    config: Config, shape: ModelShape, device: Device, room: int, pairs: Pairs | None = None
) -> Forecast:
    """The forecast for a model of this shape; without `pairs` they are as long as the config lets them be."""
    pairs = pairs or longest_pairs(config)
    setup = setup_by(config, shape, device)
    chosen = choose_strategy(config, setup, pairs, room)
    setup = replace(setup, strategy=chosen.strategy)
    size = config.train.tokens_per_pack
    if size == "auto":
        size = largest_pack(setup, pairs, room, MOST_TOKENS[device])
    expected = estimate(setup, pairs.work(size))
    change = None if fits(expected.total, room) else remedy(setup, pairs, size, room)
    return Forecast(expected, size, room, change, chosen)


def setup_by(config: Config, shape: ModelShape, device: Device) -> Setup:
    """How the config has a model of this shape trained."""
    lora, world = config.model.lora, config.launch.world
    computed = computing_type(config.model.dtype, fast_bf16=computes_fast_bf16(device))
    targets = None if lora is None or isinstance(lora.targets, str) else list(lora.targets)
    return Setup(
        shape=shape,
        trained=shape.parameters if lora is None else shape.adapters(lora.rank, targets),
        itemsize=4 if computed == "float32" else 2,
        adapters=lora is not None,
        quantized=shape.linears if config.model.quantization else 0,
        unpacked=config.model.unpacked,
        device=device,
        world=world,
        sequence_parallel=config.launch.sequence_parallel,
        strategy="single" if world == 1 else "ddp",
        offload=config.launch.offload != "none",
        compiled=config.train.compile == "on",
        checkpointing=config.train.gradient_checkpointing,
    )


def computes_fast_bf16(device: Device) -> bool:
    """Whether a device has instructions for bf16: taken for granted of a GPU, and of a CPU as this one has."""
    return device == "cuda" or processor_has_bf16()


def longest_pairs(config: Config) -> Pairs:
    """Pairs that are all as long as they may be, with nothing in common: what the config alone can promise."""
    length = config.data.max_length
    longest = 2 * (length - 1)
    step = longest * -(-config.train.pairs_per_step // config.launch.shares)
    return Pairs(longest=longest, allowed=2 * length, scored=1.0, step=step)
