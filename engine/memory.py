"""How much memory a training takes on each device, told from sizes alone: before a weight is read.

Every weight, gradient and moment is counted exactly; what a layer keeps for its backward pass is so many bytes for each
token and each unit of its widths (`engine.kept`). `benchmarks/memory.py` compares all of it with what trainings took.
A training's memory is at its highest at one of four moments, named here as `Estimate.moment`:

* loading: the checkpoint in fp32, before it is cast; what is stored in 4 bits is so at once, but for a GGUF file
* turn: between forward and backward, with all that layers and head keep
* backward: at its end, when all gradients are there
* update: gradients, moments, and what the update works with
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from engine.kept import GAPS_OF_SUMS, gaps, kept_by_layer
from engine.shape import ModelShape

Device: TypeAlias = Literal["cpu", "cuda"]
Strategy: TypeAlias = Literal["single", "ddp", "zero1", "zero2", "zero3"]
Part: TypeAlias = Literal["program", "weights", "optimizer", "gradients", "activations", "head"]
Moment: TypeAlias = Literal["loading", "turn", "backward", "update"]

DIVIDED: tuple[Strategy, ...] = ("zero1", "zero2", "zero3")
PARTS: tuple[Part, ...] = ("program", "weights", "optimizer", "gradients", "activations", "head")

LOGITS_BUDGET = 1 << 30
"""Bytes of logits that the head keeps between forward and backward; beyond, and under gradient checkpointing, it
computes them again."""
TILE_BYTES = {"cpu": 16 << 20, "cuda": 256 << 20}
"""Logits worked on at a time: what fits a CPU's cache, or fills a GPU."""
MOST_TOKENS: dict[Device, int] = {"cpu": 4096, "cuda": 16384}
"""Of a pack whose size is left to the machine: more are no faster."""
PROGRAM = {"cpu": 640 << 20, "cuda": 512 << 20}
"""Libraries and their state: resident, or a CUDA context."""
COMPILER = {"cpu": 190 << 20, "cuda": 0}
"""What compiling adds to them."""
UPDATED: dict[Device, int] = {"cpu": 16 << 16, "cuda": 256 << 16}
"""Weights updated at once: what that needs in between does not grow with a tensor, and stays in a CPU's cache."""
EXCHANGED = 6 << 26
"""What DeepSpeed exchanges at a time: a bucket (`engine.launch.deepspeed.BUCKET`) in bf16, and its sums in fp32."""
SUMMED_AT_ONCE = 500_000_000
"""Gradients that DeepSpeed's optimizer for bf16 at stage 1 sums over the processes at once, in a copy."""
NF4_BITS = 4.127
"""Of a weight in 4 bits with its doubly quantised scales: arXiv:2305.14314."""


RECOMPUTED = 1.0
"""Numbers of the hidden state a layer keeps under gradient checkpointing: its input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How a model is trained."""

    shape: ModelShape
    trained: int
    """Weights that are trained: all, or the adapters'."""
    itemsize: int = 2
    """Bytes of a number in the computing type."""
    adapters: bool = False
    quantized: int = 0
    """How many weights of a frozen base are in 4 bits. Each layer is unpacked while it computes."""
    unpacked: bool = False
    """A base out of a GGUF file, which stands there in fp32 before it is quantised."""
    device: Device = "cuda"
    world: int = 1
    sequence_parallel: int = 1
    """How many devices share the tokens of each pack, and exchange them for heads in attention."""
    strategy: Strategy = "single"
    offload: bool = False
    """Optimizer states in the host's memory."""
    compiled: bool = False
    native: bool = False
    """Attention by the CPU's own kernel, which keeps no copies."""
    checkpointing: bool = False
    fused: bool = True
    """Without the fused head all logits are there in fp32, and their gradient."""

    @property
    def masters(self) -> bool:
        """Whether the trained weights are fp32 and the model computes with rounded ones."""
        return self.itemsize < 4 and not self.adapters

    def share(self, of: Literal["weights", "gradients", "optimizer"]) -> int:
        """Among how many devices a kind of state is cut."""
        cut = {
            "weights": ("zero3",),
            "gradients": ("zero2", "zero3"),
            "optimizer": DIVIDED,
        }
        return self.world if self.strategy in cut[of] else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The dearest pack of a step: its input tokens, its scored rows, and how many packs a step has on a device.

    Of a pack that several devices share this is the whole.
    """

    tokens: int
    rows: int
    packs: int = 1

    def shared_by(self, devices: int) -> "Work":
        """What one of so many devices has of it: at the worst all of its tokens are scored."""
        if devices == 1:
            return self
        tokens = -(-self.tokens // devices)
        return replace(self, tokens=tokens, rows=min(self.rows, tokens))


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes of each part on one device, at the moment when they are the most."""

    moment: Moment
    parts: dict[Part, int]

    @property
    def total(self) -> int:
        return sum(self.parts.values())

    @property
    def largest(self) -> Part:
        return max(self.parts, key=lambda part: self.parts[part])

    def to_json(self) -> dict[str, object]:
        parts: dict[str, object] = {str(part): size for part, size in self.parts.items()}
        return {"total": self.total, "moment": self.moment, "largest": self.largest, **parts}

    def __str__(self) -> str:
        parts = (f"{part} {gib(size)}" for part, size in self.parts.items() if size)
        return f"about {gib(self.total)} GiB of memory at its highest: {', '.join(parts)}"


def gib(size: int) -> float:
    """Bytes as GiB for people."""
    return round(size / 2**30, 2)


def estimate(setup: Setup, work: Work) -> Estimate:
    """The peak on one device of a training by `setup` whose dearest pack is `work`."""
    work = work.shared_by(setup.sequence_parallel)
    moments = (_loading(setup), _turn(setup, work), _backward(setup, work), _update(setup, work))
    return max(moments, key=lambda moment: moment.total)


def _loading(setup: Setup) -> Estimate:
    """The whole checkpoint in fp32 in the host's memory. A GPU sees only what is trained there."""
    if setup.device != "cpu":
        return _at("loading", setup, weights=0, optimizer=0)
    packed = setup.quantized and not setup.unpacked
    weights = _packed(setup, 4) if packed else 4 * setup.shape.parameters
    return _at("loading", setup, weights=weights, optimizer=0)


def _turn(setup: Setup, work: Work) -> Estimate:
    """On a CPU what is freed after it stays with the process, and a block as large as that copy is not put there."""
    on_cpu = setup.device == "cpu"
    return _at(
        "turn",
        setup,
        work,
        gradients=_summed(setup, work.packs - 1) + _head_gradient(setup) + (_copied(setup) if on_cpu else 0),
        activations=_kept(setup, work) + _working(setup, work),
        head=_head(setup, work),
    )


def _backward(setup: Setup, work: Work) -> Estimate:
    new = setup.itemsize if setup.masters else 4
    gradients = _summed(setup, work.packs - 1) + new * setup.trained // setup.share("gradients")
    return _at("backward", setup, work, gradients=gradients, activations=_working(setup, work))


def _update(setup: Setup, work: Work) -> Estimate:
    parted = (
        24 * min(UPDATED[setup.device], setup.shape.embedding) if setup.masters and not setup.compiled else 0
    )
    gradients = _summed(setup, work.packs) + _copied(setup)
    return _at("update", setup, work, gradients=gradients, activations=parted)


def _at(
    moment: Moment,
    setup: Setup,
    work: Work | None = None,
    *,
    weights: int | None = None,
    optimizer: int | None = None,
    gradients: int = 0,
    activations: int = 0,
    head: int = 0,
) -> Estimate:
    program = PROGRAM[setup.device] + (COMPILER[setup.device] if setup.compiled else 0)
    program += EXCHANGED if setup.strategy in DIVIDED else 0
    if setup.device == "cpu" and work is not None:
        activations += gaps(setup.shape, work.tokens, setup.itemsize, setup.adapters, setup.compiled)
        if moment != "turn" and work.packs > 1 and setup.masters and setup.strategy in ("single", "ddp"):
            gradients += GAPS_OF_SUMS * setup.trained
    return Estimate(
        moment,
        {
            "program": program,
            "weights": _weights(setup) if weights is None else weights,
            "optimizer": _optimizer(setup) if optimizer is None else optimizer,
            "gradients": gradients,
            "activations": activations,
            "head": head,
        },
    )


def _weights(setup: Setup) -> int:
    """What the model computes with. A layer cut among devices is whole while it runs."""
    base = setup.shape.parameters
    numbers = _packed(setup, setup.itemsize) if setup.quantized else setup.itemsize * base
    gathered = 0
    if setup.share("weights") > 1:
        gathered = setup.itemsize * (2 * setup.shape.linears // setup.shape.layers + setup.shape.embedding)
    own = 4 * setup.trained if setup.adapters else 0
    return numbers // setup.share("weights") + gathered + own


def _packed(setup: Setup, itemsize: int) -> int:
    """A base partly in 4 bits, all else in a type of so many bytes."""
    quantized = min(setup.quantized, setup.shape.parameters)
    return int(quantized * NF4_BITS / 8) + itemsize * (setup.shape.parameters - quantized)


def _optimizer(setup: Setup) -> int:
    """AdamW's two moments, and what rounding drops of the weights where the model computes in bf16.

    DeepSpeed has the rounded ones too, in fp32.
    """
    if setup.offload:
        return 0
    divided = setup.share("optimizer") > 1
    beside = 0 if not setup.masters else 6 if divided else 2
    return (8 + beside) * setup.trained // setup.share("optimizer")


def _summed(setup: Setup, packs: int) -> int:
    """Gradients of a step after so many of its packs: the first pack's wait in the model's type, but for DeepSpeed.

    At stage 1 it has a place for the fp32 sums of all weights that is always there.
    """
    if packs <= 0 and not (setup.masters and setup.strategy == "zero1"):
        return 0
    waits = setup.masters and packs == 1 and setup.strategy in ("single", "ddp")
    size = setup.itemsize if waits else 4
    return size * setup.trained // setup.share("gradients")


def _copied(setup: Setup) -> int:
    """Gradients in fp32 once more, while they are summed over the processes."""
    return 4 * min(setup.trained, SUMMED_AT_ONCE) if setup.masters and setup.strategy == "zero1" else 0


def _kept(setup: Setup, work: Work) -> int:
    """What all layers keep from forward to backward, and the hidden states around them."""
    shape, size = setup.shape, setup.itemsize
    around = size * shape.hidden * (3 * work.tokens + 2 * work.rows)
    if setup.checkpointing:
        inputs = RECOMPUTED * size * shape.hidden * work.tokens * shape.layers
        return int(inputs + layer_bytes(setup) * work.tokens) + around
    return int(layer_bytes(setup) * work.tokens * shape.layers) + around


def layer_bytes(setup: Setup) -> float:
    """Bytes one layer keeps for a token of its device from its forward to its backward pass."""
    way = (setup.itemsize, setup.adapters, setup.compiled)
    return kept_by_layer(setup.shape, *way, native=setup.native, devices=setup.sequence_parallel)


def _working(setup: Setup, work: Work) -> int:
    """Gradients of one layer's activations, as they pass through, and the largest of its weights, where unpacked."""
    numbers = work.tokens * (3 * setup.shape.hidden + 3 * setup.shape.intermediate)
    if setup.quantized:
        numbers += setup.shape.hidden * setup.shape.intermediate
    return setup.itemsize * numbers


def _head_gradient(setup: Setup) -> int:
    """The head's own, which comes first, before the others."""
    if setup.adapters:
        return 0
    return setup.itemsize * setup.shape.embedding // setup.share("gradients")


def _head(setup: Setup, work: Work) -> int:
    """Logits kept within the budget, or one tile of them."""
    if not setup.fused:
        return 8 * work.rows * setup.shape.vocabulary
    logits = setup.itemsize * work.rows * setup.shape.vocabulary
    tile = min(logits, TILE_BYTES[setup.device])
    return logits + tile if _keeps_logits(setup, work) else 2 * tile


def _keeps_logits(setup: Setup, work: Work) -> bool:
    logits = setup.itemsize * work.rows * setup.shape.vocabulary
    return not setup.adapters and not setup.checkpointing and logits <= LOGITS_BUDGET
