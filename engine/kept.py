"""What a layer keeps for its backward pass: so many bytes for each token and each unit of its widths.

Counted once for every way in which a layer runs; `tests/engine/test_memory_measured.py` counts again.
"""

from dataclasses import dataclass, replace

from engine.shape import ModelShape


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes a layer keeps for each token, for each unit of: hidden, queries, keys (= values), feed-forward."""

    hidden: float
    queries: float
    keys: float
    wide: float

    def of(self, shape: ModelShape) -> float:
        """Bytes of one token in one layer."""
        return (
            self.hidden * shape.hidden
            + self.queries * shape.queries
            + self.keys * shape.keys
            + self.wide * shape.intermediate
        )


KEPT = {  # by bytes of a number, adapters or not, compiled or not
    (2, False, False): Kept(16, 4, 4, 8),
    (2, False, True): Kept(4, 4, 4, 4),
    (2, True, False): Kept(28.2, 8.3, 4.4, 10),
    (2, True, True): Kept(12.2, 8.3, 4.4, 8),
    (4, False, False): Kept(24, 8, 8, 16),
    (4, False, True): Kept(8, 8, 8, 8),
    (4, True, False): Kept(16.5, 8, 8, 16),
    (4, True, True): Kept(8.5, 8, 8, 8),
}
"""Of a Llama's layer: its norms, rotary embeddings, linear layers and gated activation."""
GATHERED = Kept(0.2, 1.1, 1.45, 0)
"""What attention over gathered keys keeps beside, in numbers: copies of queries and keys, and its output."""
GATHERED_COMPILED = Kept(1.1, 1.1, 1.45, 0)
"""The same, where it splits a compiled layer in two."""
GAPS = {  # by bytes of a number, adapters or not, compiled or not
    (2, False, False): 5.6,
    (2, False, True): 0.4,
    (2, True, False): 8.3,
    (2, True, True): 2.2,
    (4, False, False): 2.9,
    (4, False, True): 0.4,
    (4, True, False): 19.0,
    (4, True, True): 5.4,
}
"""What the C library's allocator leaves unused between blocks that come and go, in bytes for each layer, token and unit
of hidden and feed-forward width: measured on a CPU. Compiled layers have few such blocks."""
GAPS_OF_SUMS = 4
"""The same of gradients that are summed over several packs, for each weight: those of a pack go as their sums come.
Beside activations that are kept it does not show, since these take its place."""


def kept_by_layer(
    shape: ModelShape, itemsize: int, adapters: bool, compiled: bool, *, native: bool, devices: int = 1
) -> float:
    """Bytes one layer keeps for a token. `native` attention keeps no copies.

    Where `devices` share the tokens, attention has as much of all tokens, in some of the heads, as it had of its own
    in all of them. But key heads that cannot be divided are repeated, and its output is exchanged into a copy, which
    attention over gathered keys makes in any case.
    """
    if shape.kv_heads % devices:
        shape = replace(shape, kv_heads=shape.heads)
    kept = KEPT[itemsize, adapters, compiled].of(shape)
    if native:
        return kept if devices == 1 else kept + itemsize * shape.queries
    beside = GATHERED_COMPILED if compiled and not adapters else GATHERED
    return kept + itemsize * beside.of(shape)


def gaps(shape: ModelShape, tokens: int, itemsize: int, adapters: bool, compiled: bool) -> int:
    """Bytes of gaps that a pack of so many tokens leaves on a CPU."""
    each = GAPS[itemsize, adapters, compiled] * shape.layers
    return int(each * tokens * (shape.hidden + shape.intermediate))
