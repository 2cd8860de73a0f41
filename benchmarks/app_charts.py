"""How much of a core the charts of the app take: four charts of two noisy curves each, in a terminal of tmux.

python benchmarks/app_charts.py [--seconds 10]

Each row is a process of its own, 120 columns and 40 rows. A step arrives with every frame, so every chart is
drawn anew each time: as quick a run as there is. The curves have the same shape however many points they have.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from textual.app import App, ComposeResult

from dpo_tui.metrics.history import History
from dpo_tui.theme import METRIC_HUES
from dpo_tui.widgets.chart_grid import ChartGrid
from dpo_tui.widgets.metric_chart import ChartSpec, Line

SIZE = (120, 40)
CASES = ((1_000, 4.0), (10_000, 2.0), (10_000, 4.0), (50_000, 4.0))
WARM_UP_FRAMES = 4

LINES = (
    Line("rewards/chosen", "chosen", "chosen"),
    Line("rewards/rejected", "rejected", "rejected", "dashed"),
)
SPECS = [ChartSpec(id=name, lines=LINES) for name in ("loss", "margins", "rewards", "logps")]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--seconds", type=float, default=10.0, help="measured, for each row")
    options.add_argument("--show", nargs=3, metavar=("POINTS", "HERTZ", "RESULT"), help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.show:
        points, hertz, result = given.show
        Charts(int(points), float(hertz), given.seconds, Path(result)).run()
        return
    if shutil.which("tmux") is None:
        sys.exit("this needs tmux")
    print(
        f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores; 4 charts x 2 curves, {SIZE[0]} x {SIZE[1]}"
    )
    for points, hertz in CASES:
        print(f"{points:7,} points  {hertz:g} Hz  {measure(points, hertz, given.seconds)}", flush=True)


def measure(points: int, hertz: float, seconds: float) -> str:
    """Run one case in tmux and return what it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result"
        command = [
            sys.executable,
            __file__,
            "--seconds",
            str(seconds),
            "--show",
            str(points),
            str(hertz),
            str(result),
        ]
        session = ["tmux", "-L", f"charts-{os.getpid()}"]
        size = ["-x", str(SIZE[0]), "-y", str(SIZE[1])]
        subprocess.run([*session, "new-session", "-d", *size, shlex.join(command)], check=True)
        deadline = time.monotonic() + seconds + 60
        while not result.exists():
            if time.monotonic() > deadline:
                subprocess.run([*session, "kill-server"], check=False)
                return "no result"
            time.sleep(0.1)
        return result.read_text()


class Charts(App[None]):
    """Four charts that a step arrives at `hertz` times a second; after `seconds` it writes what that cost."""

    def __init__(self, points: int, hertz: float, seconds: float, result: Path) -> None:
        super().__init__()
        self._points, self._hertz, self._result = points, hertz, result
        self._frames = round(seconds * hertz)
        self._drawn = -WARM_UP_FRAMES
        self._noise = np.random.default_rng(0)
        self._history = History()
        self._begun = (0.0, 0.0)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return METRIC_HUES

    def compose(self) -> ComposeResult:
        yield ChartGrid(SPECS)

    def on_mount(self) -> None:
        self._history.take([self._event(step) for step in range(1, self._points + 1)])
        self.set_interval(1 / self._hertz, self._tick)

    def _event(self, step: int) -> dict[str, object]:
        margin = 2 * (1 - np.exp(-4 * step / self._points))
        chosen, rejected = self._noise.normal([0.3 * margin, -0.7 * margin], 0.15)
        return {
            "type": "step",
            "step": step,
            "rewards/chosen": float(chosen),
            "rewards/rejected": float(rejected),
        }

    def _tick(self) -> None:
        if self._drawn == 0:
            self._begun = time.monotonic(), time.process_time()
        if self._drawn == self._frames:
            wall, used = time.monotonic() - self._begun[0], time.process_time() - self._begun[1]
            temporary = self._result.with_suffix(".new")
            temporary.write_text(
                f"{used / wall:5.1%} of a core  {used / self._frames * 1000:5.1f} ms a frame  "
                f"{self._frames / wall:.2f} frames/s"
            )
            temporary.rename(self._result)
            self.exit()
            return
        self._drawn += 1
        self._history.take([self._event(self._history.step + 1)])
        self.query_one(ChartGrid).show(self._history)


if __name__ == "__main__":
    main()
