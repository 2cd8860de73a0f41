"""What the head should take on an A100 and an H100: operations, bytes moved, and the time that both need.

    python -m benchmarks.roofline [--rows 8192] [--hidden 4096] [--vocabulary 151936]

A prediction, not a measurement: no kernel runs. Products are taken at the share of the peak that cuBLAS reaches on such
shapes, passes over memory at the share of the bandwidth that a copy reaches. Registers and spills of the kernels
themselves, by the assembler, are printed by `python -m engine.kernels.ahead`.
"""

import argparse
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Card:
    """bf16 operations and bytes a second."""

    name: str
    operations: float
    bandwidth: float


CARDS = (Card("A100", 312e12, 2.04e12), Card("H100", 989e12, 3.35e12))
PRODUCT_SHARE, COPY_SHARE = 0.73, 0.9
"""Of the peaks: 728 TF/s were measured for a head of this size on an H100, and copies reach nine tenths."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the head: operations of products, bytes moved by passes over the tile."""

    name: str
    operations: float
    bytes: float

    def seconds(self, card: Card) -> float:
        """Products and passes follow each other."""
        return self.operations / (card.operations * PRODUCT_SHARE) + self.bytes / (
            card.bandwidth * COPY_SHARE
        )


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--vocabulary", type=int, default=151_936)
    options = parser.parse_args()
    product = 2.0 * options.rows * options.hidden * options.vocabulary
    tile = 2.0 * options.rows * options.vocabulary
    fold = Part("fold (read once)", 0, tile)
    slope = Part("slope (read, write)", 0, 2 * tile)
    policies = {
        "frozen": [Part("2 products", 2 * product, 0), fold, slope],
        "kept": [Part("3 products", 3 * product, 0), fold, slope],
        "recomputed": [Part("4 products", 4 * product, 0), fold, slope],
    }
    print(
        f"{options.rows} rows, {options.hidden} x {options.vocabulary}; one product {product / 1e12:.2f} TFLOP, "
    )
    print(f"logits {tile / 2**30:.2f} GiB\n")
    print(
        f"{'policy':<12} {'part':<22} {'TFLOP':>7} {'GB':>7} "
        + " ".join(f"{c.name + ' ms':>9}" for c in CARDS)
    )
    for policy, parts in policies.items():
        for part in [*parts, Part("all", sum(p.operations for p in parts), sum(p.bytes for p in parts))]:
            times = " ".join(f"{part.seconds(card) * 1e3:>9.2f}" for card in CARDS)
            print(
                f"{policy:<12} {part.name:<22} {part.operations / 1e12:>7.2f} {part.bytes / 1e9:>7.2f} {times}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
