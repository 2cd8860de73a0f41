"""What trainings take on GPUs that are not here: memory by the memory model, time by published rates and link speeds.

    python -m benchmarks.on_paper [--card H100]

A prediction, not a measurement. Full training in bf16 of three models on 1 to 512 cards, eight a machine, 4 pairs of
1,500 tokens a card and step, in packs of 16,384 tokens or what fits, with gradient checkpointing for 70B. The strategy
is the one that `launch.strategy = "auto"` would take with 80 GB. `compute` is 6 operations a weight and token (8 with
checkpointing) at `SHARE` of the peak; `talk` what the strategy moves at `LINK_SHARE` of the slowest link in the way.
Talk that DeepSpeed overlaps with computing costs nothing: a step takes between the longer of the two and their sum,
and tokens a second are told for the sum.

The last table is XTuner's quick start by the templates of its name: memory alone, as `--dry-run` foretells it on a GPU,
with every pair as long as the config lets it be.
"""

import argparse
import sys
from dataclasses import dataclass, replace

from engine.config.load import load_config
from engine.config.schema import Config
from engine.forecast import forecast
from engine.launch.strategy import choose_strategy
from engine.memory import Setup, estimate, gib
from engine.remedy import Pairs, largest_pack
from engine.shape import ModelShape, shape_of
from engine.shipped import template_dir


@dataclass(frozen=True, slots=True)
class Card:
    """bf16 operations a second; bytes a second sent within a machine, and to another; bytes of memory."""

    name: str
    operations: float
    within: float
    between: float
    memory: int = 80 * 10**9


CARDS = {
    # NVLink 600 and 900 GB/s both ways together; eight links of 200 and 400 Gb/s InfiniBand a machine.
    "A100": Card("A100", 312e12, 300e9, 25e9),
    "H100": Card("H100", 989e12, 450e9, 50e9),
}
SHARE, LINK_SHARE = 0.4, 0.7
A_MACHINE = 8
COUNTS = (1, 8, 64, 512)
PAIRS, TOKENS, MOST = 4, 1500, 16_384
MODELS = {
    "1.8B": {
        "num_hidden_layers": 24, "hidden_size": 2048, "num_attention_heads": 16, "num_key_value_heads": 8,
        "intermediate_size": 8192, "vocab_size": 92_544, "tie_word_embeddings": False,
    },
    "7B": {
        "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
        "intermediate_size": 14_336, "vocab_size": 92_544, "tie_word_embeddings": False,
    },
    "70B": {
        "num_hidden_layers": 80, "hidden_size": 8192, "num_attention_heads": 64, "num_key_value_heads": 8,
        "intermediate_size": 28_672, "vocab_size": 128_256, "tie_word_embeddings": False,
    },
}  # fmt: skip
QUICK_START = "internlm2-chat-1_8b-sft-orpo-dpo-mix-40k"
TRAININGS = (
    ("all weights", "", 80, ()),
    ("all weights, gradient checkpointing", "", 80, ("train.gradient_checkpointing=true",)),
    ("QLoRA, rank 64", "-qlora", 24, ("train.gradient_checkpointing=false",)),
    ("QLoRA, rank 64, gradient checkpointing", "-qlora", 24, ()),
    *(
        ("all weights", "", 80, ("launch.devices=8", f"launch.strategy={strategy}"))
        for strategy in ("ddp", "zero1", "zero2", "zero3")
    ),
)
"""Of the quick start: in words, the template's ending, GB of a card's memory, and what is set besides."""
CONFIG = {"model": {"id": "x/y"}, "data": {"sources": [{"path": "x/y"}]}}


def main() -> int:
    """Print the table, the published case the memory model is checked against, and XTuner's quick start."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--card", choices=list(CARDS), default="H100")
    card = CARDS[parser.parse_args().card]
    print(f"| model | {card.name}s | strategy | memory GiB | compute s | talk s | tokens/s a card |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for name, sizes in MODELS.items():
        shape = shape_of(sizes)
        assert shape is not None
        for count in COUNTS:
            print(row(name, shape, count, card))
    print()
    print(published())
    print()
    print(quick_start())
    return 0


def row(name: str, shape: ModelShape, count: int, card: Card) -> str:
    """A line of the table."""
    pairs = Pairs(longest=2 * TOKENS, scored=0.5, step=PAIRS * TOKENS)
    setup = replace(setup_of(shape, count), checkpointing=name == "70B")
    config = Config.model_validate(
        {**CONFIG, "train": {"pairs_per_step": count}, "launch": {"devices": count}}
    )
    strategy = choose_strategy(config, setup, pairs, card.memory).strategy
    setup = replace(setup, strategy=strategy, compiled=strategy != "zero3")
    memory = estimate(setup, pairs.work(largest_pack(setup, pairs, card.memory, MOST))).total
    tokens = PAIRS * TOKENS
    compute = (8 if setup.checkpointing else 6) * shape.parameters * tokens / (card.operations * SHARE)
    talk = moved(strategy, shape.parameters, -(-tokens // MOST)) * (count - 1) / count / slowest(card, count)
    if memory > 0.9 * card.memory:
        return f"| {name} | {count} | {strategy} | {gib(memory):,.0f}: does not fit | | | |"
    rate = tokens / (compute + talk)
    return f"| {name} | {count} | {strategy} | {gib(memory):.0f} | {compute:.2f} | {talk:.2f} | {rate:,.0f} |"


def setup_of(shape: ModelShape, count: int) -> Setup:
    """Full training in bf16 on so many cards."""
    return Setup(shape=shape, trained=shape.parameters, device="cuda", world=count, compiled=True)


def moved(strategy: str, weights: int, packs: int) -> float:
    """Bytes a card sends for a step of so many packs, on a ring of many."""
    reduced, gathered = 2.0 * weights, 2.0 * weights
    match strategy:
        case "single":
            return 0.0
        case "ddp":
            return 2 * 4.0 * weights
        case "zero1":
            return 2 * reduced + gathered
        case "zero2":
            return packs * reduced + gathered
        case _:
            return packs * (reduced + 2 * gathered)


def slowest(card: Card, count: int) -> float:
    """Bytes a second of the slowest link in the way."""
    return LINK_SHARE * (card.within if count <= A_MACHINE else card.between)


def published() -> str:
    """GB of weights, gradients and optimizer of 7.5B weights on 64 cards: figure 1 of arXiv:1910.02054, and here."""
    sizes = {**MODELS["7B"], "num_hidden_layers": 34}
    shape = shape_of(sizes)
    assert shape is not None
    shape = replace(shape, parameters=7_500_000_000)
    setup = replace(setup_of(shape, 64), trained=shape.parameters, compiled=False)
    lines = ["| 7.5B weights on 64 cards | published GB | here |", "|---|---:|---:|"]
    for strategy, theirs in (("ddp", 120.0), ("zero1", 31.4), ("zero2", 16.6), ("zero3", 1.9)):
        parts = estimate(replace(setup, strategy=strategy), Pairs(longest=1, step=1).work(1)).parts  # type: ignore[arg-type]
        ours = (parts["weights"] + parts["optimizer"] + parts["gradients"]) / 1e9
        lines.append(f"| {strategy} | {theirs} | {ours:.1f} |")
    return "\n".join(lines)


def quick_start() -> str:
    """GiB on each card of XTuner's quick start, by our templates, whose model is the first of `MODELS`."""
    shape = shape_of(MODELS["1.8B"])
    assert shape is not None
    lines = [
        "| training | cards | strategy | tokens a pack | weights | optimizer, gradients | activations | all |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    for words, ending, memory, changes in TRAININGS:
        config = load_config(template_dir() / f"{QUICK_START}{ending}.toml", changes).config
        told = forecast(config, shape, "cuda", memory * 10**9)
        parts = told.estimate.parts
        state = parts["optimizer"] + parts["gradients"]
        sizes = (parts["weights"], state, parts["activations"], told.estimate.total)
        lines.append(
            f"| {words} | {config.launch.world} x {memory} GB | {told.chosen.strategy} | {told.tokens_per_pack:,} | "
            + " | ".join(f"{gib(size):.1f}" for size in sizes)
            + (" |" if told.fits else ": does not fit |")
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
