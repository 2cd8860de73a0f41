"""What makes a training fit into the memory that is there: the smallest change that does, in the config's words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.memory import Estimate, Setup, Work, estimate, gib

FULL = 0.9
"""Share of the memory that a training may be expected to take: estimates err, and allocators leave gaps."""
SIZES = tuple(1 << power for power in range(16, 7, -1))
"""Tokens of a pack that are tried, from the most."""
PACK, CHECKPOINTING, ADAPTERS = "train.tokens_per_pack", "train.gradient_checkpointing", "model.lora.rank"
QUANTIZATION = "model.lora.quantization"
RANK = 16
"""Of the adapters that are proposed: the schema's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """What of the pairs decides how much memory a pack takes."""

    longest: int
    """Input tokens of the longest pair: no pack can hold less."""
    allowed: int = 0
    """Tokens that a config must allow a pack at the least: twice its `max_length`."""
    scored: float = 1.0
    """Rows that pass the head, for each input token."""
    step: int | None = None
    """Input tokens of a whole step on a device, or on those that share its packs; None where it is not known."""

    def work(self, tokens_per_pack: int) -> Work:
        """The dearest pack when packs hold so many tokens."""
        most = max(self.longest, tokens_per_pack)
        tokens = most if self.step is None else max(self.longest, min(most, self.step))
        packs = 1 if self.step is None else max(1, -(-self.step // most))
        return Work(tokens=tokens, rows=round(tokens * self.scored), packs=packs)


@dataclass(frozen=True, slots=True)
class Remedy:
    """One key of the config, the value that would make it fit, and the bytes it would then take."""

    key: str
    value: Any
    total: int
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further keys, where that one is not enough."""

    @property
    def keys(self) -> dict[str, Any]:
        """All that is to be changed."""
        return {self.key: self.value, **self.more}

    def __str__(self) -> str:
        return " and ".join(f"{key} = {_toml(value)}" for key, value in self.keys.items())


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def fits(total: int, room: int) -> bool:
    """Whether a training of so many bytes is safe in a memory of `room` bytes."""
    return total <= FULL * room


def largest_pack(setup: Setup, pairs: Pairs, room: int, most: int) -> int:
    """The most tokens of a pack, `most` at the most, with which the training fits; the least there is if none does."""
    sizes = [size for size in SIZES if size <= most]
    for size in sizes:
        if fits(estimate(setup, pairs.work(size)).total, room):
            return max(size, pairs.longest)
    return max(sizes[-1], pairs.longest)


def remedy(setup: Setup, pairs: Pairs, tokens_per_pack: int, room: int) -> Remedy | None:
    """The first change that makes the training fit, from those that change no result to those that change the most."""
    for keys, changed, size in _changes(setup, pairs, tokens_per_pack):
        total = estimate(changed, pairs.work(size)).total
        if fits(total, room):
            (key, value), *more = keys.items()
            return Remedy(key, value, total, dict(more))
    return None


def _changes(setup: Setup, pairs: Pairs, size: int) -> Iterator[tuple[dict[str, Any], Setup, int]]:
    """Each change as keys and values, with the training as it would be: first as large packs as are asked for."""
    for smaller in SIZES:
        if max(pairs.longest, pairs.allowed) <= smaller < size:
            yield {PACK: smaller}, setup, smaller
    checkpointing: dict[str, Any] = {} if setup.checkpointing else {CHECKPOINTING: True}
    adapters: dict[str, Any] = {} if setup.adapters else {ADAPTERS: RANK}
    changes = [checkpointing, adapters, adapters | checkpointing]
    if not setup.quantized and setup.strategy != "zero3":
        packed = adapters | {QUANTIZATION: "nf4"}
        changes += [packed, packed | checkpointing]
    for keys in changes:
        if keys:
            changed = _with(setup, keys)
            yield keys, changed, size
            yield keys | {PACK: "auto"}, changed, pairs.longest


def _with(setup: Setup, keys: Mapping[str, Any]) -> Setup:
    if CHECKPOINTING in keys:
        setup = replace(setup, checkpointing=True)
    if QUANTIZATION in keys:
        setup = replace(setup, quantized=setup.shape.linears)
    return replace(setup, adapters=True, trained=setup.shape.adapters(RANK)) if ADAPTERS in keys else setup


def tight(expected: Estimate, room: int, change: Remedy | None) -> tuple[str, dict[str, Any]]:
    """That a training may not fit, as a sentence and as what the sentence is made of."""
    params: dict[str, Any] = {
        "expected": gib(expected.total),
        "room": gib(room),
        "largest": expected.largest,
        "of": gib(expected.parts[expected.largest]),
        "case": "change" if change else "none",
    }
    text = (
        f"about {params['expected']} GiB are expected, and there are {params['room']} GiB; the most of it, "
        f"{params['of']} GiB, are for {expected.largest}. "
    )
    if change is None:
        return text + "No single change makes it fit: take a smaller model, or a larger machine", params
    params |= {"change": str(change), "then": gib(change.total)}
    return text + f"With {change} it would be {params['then']} GiB", params
