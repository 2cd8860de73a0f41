"""How a person at the monitor fares while a run floods its log, has a long past, or a log of a million lines.

python benchmarks/app_following.py [--seconds 10]

The app runs as a process of its own in a pseudo-terminal of 120 columns and 40 rows. The lag is by how much a timer
of 20 ms comes late: what a key pressed then would wait. A child writes the lines, 100 characters each, in portions
of ten milliseconds.
"""

import argparse
import asyncio
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from dpo_tui.app import DpoApp
from dpo_tui.screens.monitor import MonitorScreen
from engine.rundir.paths import RunDir
from tests.tui.fake_runs import make_run, step_event, write_events

PROBE_SECONDS = 0.02
LINES_PER_SECOND = 30_000
LINE = ("2026-01-01 12:00:00 INFO engine.train a line as a library writes it: " + "." * 60)[:99] + "\n"
EVENTS = 100_000


class Probe(DpoApp):
    """The app on one run, and a timer that notes how late it comes."""

    def __init__(self, root: Path, result: Path, seconds: float) -> None:
        super().__init__(root.parent, run=root)
        self._result = result
        self._seconds = seconds
        self._lags: list[float] = []
        self._began = time.perf_counter()

    def on_mount(self) -> None:
        """Beside the app's own, which Textual calls as well."""
        self.run_worker(self._measure())

    async def _measure(self) -> None:
        """Attach, wait for the curves, note lags for some seconds, and write down what was found."""
        loop = asyncio.get_running_loop()
        while not (isinstance(self.screen, MonitorScreen) and self._drawn(self.screen)):
            await self._probe(loop)
        attached, attach_lags = time.perf_counter() - self._began, self._lags
        self._lags = []
        deadline = time.perf_counter() + self._seconds
        while time.perf_counter() < deadline:
            await self._probe(loop)
        found = {
            "attached": attached,
            "attach_lags": attach_lags,
            "lags": self._lags,
            "rss": psutil.Process().memory_info().rss,
            "cpu": sum(psutil.Process().cpu_times()[:2]),
        }
        self._result.write_text(json.dumps(found))
        self.exit(0)

    def _drawn(self, screen: MonitorScreen) -> bool:
        return screen.follower.caught_up and screen._drawn == screen.follower.history.version

    async def _probe(self, loop: asyncio.AbstractEventLoop) -> None:
        expected = loop.time() + PROBE_SECONDS
        await asyncio.sleep(PROBE_SECONDS)
        self._lags.append(max(0.0, loop.time() - expected))


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--seconds", type=float, default=10.0, help="measured, for each row")
    options.add_argument("--probe", nargs=2, metavar=("RUN", "RESULT"), help=argparse.SUPPRESS)
    options.add_argument("--flood", metavar="LOG", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.probe:
        Probe(Path(given.probe[0]), Path(given.probe[1]), given.seconds).run()
    elif given.flood:
        flood(Path(given.flood), given.seconds)
    else:
        print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            measure_all(Path(folder), given.seconds)


def measure_all(folder: Path, seconds: float) -> None:
    """Each row in a process of its own."""
    quiet = make_run(folder, "quiet", "running")
    report("no log written", probe(quiet, seconds))
    flooded = make_run(folder, "flooded", "running")
    command = [sys.executable, __file__, "--seconds", str(seconds + 6), "--flood", str(flooded.train_log)]
    writer = subprocess.Popen(command)
    found = probe(flooded, seconds)
    writer.wait()
    lines = flooded.train_log.stat().st_size // len(LINE)
    report(f"{lines / (seconds + 6):,.0f} lines/s written", found)
    long = make_run(folder, "long", "running", steps=1, total=EVENTS)
    write_events(long, [step_event(step, EVENTS) for step in range(2, EVENTS + 1)])
    found = probe(long, 3)
    size = long.events.stat().st_size / 1e6
    print(
        f"attach to {EVENTS:,} events ({size:.0f} MB): {found['attached']:.2f} s from the app's start to full curves; "
        f"lag meanwhile {percentiles(found['attach_lags'])}",
        flush=True,
    )
    few, many = (probe(with_lines(folder, count), 3)["rss"] / 2**20 for count in (10_000, 1_000_000))
    print(f"resident memory with 10,000 lines {few:.1f} MiB, with 1,000,000 lines {many:.1f} MiB", flush=True)


def with_lines(folder: Path, count: int) -> RunDir:
    """A run whose log has so many lines."""
    return make_run(folder, f"lines-{count}", "running", log=LINE * count)


def report(name: str, found: dict[str, Any]) -> None:
    """One row."""
    print(f"{name}: lag {percentiles(found['lags'])}, {found['cpu']:.1f} s of CPU in all", flush=True)


def percentiles(lags: object) -> str:
    """Median, 95th percentile and the longest, in milliseconds."""
    values = np.array(lags) * 1000
    return (
        f"p50 {np.median(values):.1f} ms, p95 {np.percentile(values, 95):.1f} ms, max {values.max():.1f} ms"
    )


def probe(run: RunDir, seconds: float) -> dict[str, Any]:
    """Run the app on a run, in a terminal that takes whatever it draws, and return what it found."""
    result = run.root / "probe.json"
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    command = [sys.executable, __file__, "--seconds", str(seconds), "--probe", str(run.root), str(result)]
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    os.close(theirs)
    with suppress(OSError):
        while os.read(ours, 1 << 16):
            pass
    os.close(ours)
    if process.wait() != 0 or not result.exists():
        sys.exit(f"the app ended with {process.returncode} and found nothing")
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def flood(path: Path, seconds: float) -> None:
    """Append lines at the rate, as far as this process gets."""
    portion = (LINE * (LINES_PER_SECOND // 100)).encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    began = time.perf_counter()
    for written in range(int(seconds * 100)):
        os.write(descriptor, portion)
        time.sleep(max(0.0, began + (written + 1) / 100 - time.perf_counter()))


if __name__ == "__main__":
    main()
