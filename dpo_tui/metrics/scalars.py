"""Single values of events that may hold anything."""

import math
from typing import Any

LARGEST = 1e100
"""Values beyond it count as absent: their squares would overflow in whatever is computed of them."""


def number(value: Any) -> float | None:
    """`value` if it is a number that a chart can show, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not -LARGEST < value < LARGEST:
        return None
    return float(value) if math.isfinite(value) else None


def whole(value: Any, most: int = 2**53) -> int | None:
    """`value` if it is a whole number from 0 to `most`, beyond which a float tells no two apart, else None."""
    return value if type(value) is int and 0 <= value <= most else None
