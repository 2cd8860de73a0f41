"""The lengths of a pair, and how one that is too long is cut or dropped."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.data.prepared.pairs import IntArray, Pair


@dataclass(frozen=True, slots=True)
class Limits:
    """max_length bounds prompt + one completion, max_prompt_length the prompt; too_long says what then."""

    max_length: int
    max_prompt_length: int
    too_long: Literal["truncate", "drop"] = "truncate"


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a pair before anything was cut."""

    prompt: int
    chosen: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """A pair within the limits; cut names the parts that lost tokens: prompt, chosen, rejected.

    tools_lost: the row brings tools, and the chat template does not show them.
    """

    pair: Pair
    lengths: Lengths
    cut: tuple[str, ...]
    tools_lost: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """A pair that is not trained on, by a reason of `tallies.DROPPED`; lengths where it got as far as tokens."""

    reason: str
    detail: str = ""
    lengths: Lengths | None = None


def fit(
    pair: Pair, lengths: Lengths, limits: Limits, leading: int, tools_lost: bool = False
) -> Encoded | Dropped:
    """Bring a pair within the limits: the prompt keeps its end, and `leading` tokens (BOS); completions their start.

    Both sides lose the same prompt tokens, so that they still share the rest.
    """
    longest = max(len(pair.chosen), len(pair.rejected))
    if lengths.prompt <= limits.max_prompt_length and longest <= limits.max_length:
        return Encoded(pair, lengths, (), tools_lost)
    if limits.too_long == "drop":
        return Dropped("too_long", lengths=lengths)
    cut = max(0, lengths.prompt - limits.max_prompt_length)
    starts = (pair.chosen_start - cut, pair.rejected_start - cut)
    if min(starts) < max(1, leading) or max(starts) >= limits.max_length:
        return Dropped("no_room", lengths=lengths)
    chosen, rejected = (_without(ids, leading, cut) for ids in (pair.chosen, pair.rejected))
    parts = {
        "prompt": cut > 0,
        "chosen": len(chosen) > limits.max_length,
        "rejected": len(rejected) > limits.max_length,
    }
    shorter = Pair(chosen[: limits.max_length], rejected[: limits.max_length], *starts)
    if np.array_equal(shorter.chosen, shorter.rejected):
        return Dropped("equal_after_cut", lengths=lengths)
    cuts = tuple(name for name, was_cut in parts.items() if was_cut)
    return Encoded(shorter, lengths, cuts, tools_lost)


def _without(ids: IntArray, leading: int, cut: int) -> IntArray:
    """The ids less `cut` of them that follow the `leading` ones."""
    return np.concatenate([ids[:leading], ids[leading + cut :]]) if cut else ids
