"""The one property of all fuzz tests: whatever comes in, an answer comes out, or an error a person can act on.

FUZZ_CASES sets how many inputs each test tries, and makes them new ones in every run (`make fuzz`).
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, settings

from engine.exits import EngineError, Exit
from engine.sanitize import visible

FEW = 150
COUNT: Counter[str] = Counter()
"""Cases tried, by test."""

fuzzed = settings(
    max_examples=int(os.environ.get("FUZZ_CASES", FEW)),
    derandomize="FUZZ_CASES" not in os.environ,
    deadline=None,
    print_blob=True,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)


@contextmanager
def case(test: str) -> Iterator[None]:
    """One case: any exception inside but an EngineError fails the test, and so does one that says nothing."""
    COUNT[test] += 1
    try:
        yield
    except EngineError as error:
        require_helpful(error)


def require_helpful(told: EngineError) -> None:
    """An error says what is wrong in words of its own, and ends the command with a code that is not 0."""
    assert told.code
    assert told.text.strip()
    assert "Traceback" not in told.text
    assert Exit(told.exit) is not Exit.DONE
    visible(told.text).encode()
