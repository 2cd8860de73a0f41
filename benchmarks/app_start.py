"""How soon the app is there: from starting `dpo-tui` to the first whole frame in a terminal.

    python -m benchmarks.app_start [--times 10]

A frame is whole when the terminal shows the last line of the first screen. Beside it the time of `python -c pass` and
of `dpo-tui --help`, measured in turns: the ratio says more than the seconds.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.tui.terminal import Terminal


def first_frame(cwd: Path) -> float:
    """Seconds to the first frame of the list of runs."""
    start = time.perf_counter()
    with Terminal(cwd=cwd, size=(120, 40)) as terminal:
        terminal.wait_for("New run")
        return time.perf_counter() - start


def command(*arguments: str) -> float:
    """Seconds of a Python command."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure in turns, print minimum, median and maximum."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=int, default=10)
    times = parser.parse_args().times
    measured: dict[str, list[float]] = {"python": [], "dpo-tui --help": [], "first frame": []}
    with tempfile.TemporaryDirectory() as folder:
        first_frame(Path(folder))  # what is read from the disk for the first time is not what is measured
        for _ in range(times):
            measured["python"].append(command("-c", "pass"))
            measured["dpo-tui --help"].append(command("-P", "-m", "dpo_tui", "--help"))
            measured["first frame"].append(first_frame(Path(folder)))
    for name, seconds in measured.items():
        print(f"{name:<15} {min(seconds):.3f} {statistics.median(seconds):.3f} {max(seconds):.3f} s")


if __name__ == "__main__":
    main()
