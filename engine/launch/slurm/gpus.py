"""How much memory a GPU has, by the name that a cluster calls it: Slurm tells names, and no sizes.

The sizes are NVIDIA's, published as GB and taken as GiB. A driver shows up to a sixteenth less, where error correction
takes its part: a forecast leaves a tenth free in any case.
"""

import re

MEMORY: dict[str, tuple[int, ...]] = {
    # data centres
    "k80": (12,), "p4": (8,), "p40": (24,), "p100": (12, 16),
    "v100": (16, 32), "v100s": (32,), "t4": (16,),
    "a2": (16,), "a10": (24,), "a10g": (24,), "a16": (16,), "a30": (24,), "a40": (48,),
    "a100": (40, 80), "a800": (40, 80),
    "l4": (24,), "l20": (48,), "l40": (48,), "l40s": (48,),
    "h100": (80, 94), "h100 nvl": (94,), "h800": (80,), "h20": (96, 141), "h200": (141,), "gh200": (96, 144),
    "b200": (180, 192),
    # workstations
    "rtx 6000": (24, 48), "rtx 6000 ada": (48,), "rtx pro 6000": (96,), "rtx 8000": (48,), "rtx 5000 ada": (32,),
    "a4000": (16,), "a4500": (20,), "a5000": (24,), "a5500": (24,), "a6000": (48,),
    "titan v": (12,), "titan xp": (12,), "titan rtx": (24,),
    # desktops
    "1080 ti": (11,), "2080": (8,), "2080 ti": (11,), "3080": (10, 12), "3090": (24,), "3090 ti": (24,),
    "4080": (16,), "4090": (24,), "5080": (16,), "5090": (32,),
}  # fmt: skip
"""GiB of each GPU; several where it is sold with several."""

_SIZE = re.compile(r"(?<![a-z0-9])([0-9]{1,3})(g|gb|gib)?(?![a-z0-9])")


def memory_of(name: str) -> tuple[int, ...]:
    """GiB that a GPU of this name may have, the least first; none where that is not known.

    A size in the name is the one it has, as in a100-80 or nvidia_a100-sxm4-40gb; of a slice, as in a100_3g.20gb, the
    last one.
    """
    words = name.lower()
    sold = next(
        (MEMORY[known] for known in sorted(MEMORY, key=len, reverse=True) if _names(words, known)), ()
    )
    for size, unit in reversed(_SIZE.findall(words)):
        if unit in ("gb", "gib") or int(size) in sold:
            return (int(size),)
    return sold


def _names(words: str, known: str) -> bool:
    """Whether a name has these words in a row: rtx3090, geforce_rtx_3090 and 3090 are all one."""
    pattern = known.replace(" ", "[^a-z0-9]?")
    return re.search(rf"(?:(?<![a-z0-9])|(?<=rtx)|(?<=gtx)){pattern}(?![a-z0-9])", words) is not None
