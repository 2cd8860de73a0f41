"""The time of day, in one place: a test that draws ages and durations holds it still."""

import time


def now() -> float:
    """Unix time in seconds."""
    return time.time()
