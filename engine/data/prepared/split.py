"""Which pairs are held out for evaluation: by prompt, so that no prompt is on both sides."""

import hashlib

import numpy as np
import numpy.typing as npt

ENOUGH = 20
"""From this many pairs on, at least one is held out when any are wanted."""


def prompt_key(prompt: bytes, seed: int) -> int:
    """64 bits that order the prompts at random for this seed, whatever else is in the data."""
    key = seed.to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(prompt, digest_size=8, key=key).digest(), "little")


def held_out(prompt_keys: npt.NDArray[np.uint64], fraction: float) -> npt.NDArray[np.bool_]:
    """[n] mask of the pairs to evaluate on: about `fraction` of them, whole prompts, never all.

    prompt_keys: [n], equal for equal prompts. Prompts are taken in the order of their keys while they fit; if none
    does, the smallest one is.
    """
    count = len(prompt_keys)
    wanted = round(fraction * count)
    if fraction > 0 and count >= ENOUGH:
        wanted = max(1, wanted)
    prompts, sizes = np.unique(prompt_keys, return_counts=True)
    if wanted == 0 or len(prompts) < 2:
        return np.zeros(count, dtype=np.bool_)
    return np.isin(prompt_keys, prompts[_fitting(sizes, wanted)])


def _fitting(sizes: npt.NDArray[np.int64], wanted: int) -> list[int]:
    taken: list[int] = []
    left = wanted
    for index, size in enumerate(sizes.tolist()):
        if size <= left and len(taken) + 1 < len(sizes):
            taken.append(index)
            left -= size
        if left == 0:
            break
    return taken or [int(sizes.argmin())]
