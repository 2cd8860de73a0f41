"""How many cases are tried, and the line that says how many were."""

import pytest

from tests.fuzz.cases import COUNT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if COUNT:
        terminalreporter.write_line(f"{COUNT.total():,} fuzz cases: {dict(COUNT)}")
