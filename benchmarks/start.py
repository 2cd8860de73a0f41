"""Cold and warm: the seconds of each phase of the same run, with nothing cached and again with everything.

    python -m benchmarks.start --data pairs.json [--pairs 64]

Both runs are the real command, with caches in a folder of their own. What the second one no longer spends is what was
kept: compiled code, the attention kernel, reference log-probabilities. `to first step` is from the command to the end
of the first update.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from engine.rundir.events import read_events

CONFIG = """
[model]
source = "builtin"
id = "smollm2-135m-instruct"
[data]
eval_fraction = 0.0
[[data.sources]]
source = "local"
path = "{data}"
limit = {pairs}
[train]
max_steps = {steps}
pairs_per_step = 4
compile = "on"
[export]
enabled = false
"""
PHASES = ("tokenize", "download", "compile", "reference", "train")


def main() -> int:
    """Run twice and print a column each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="preference pairs in any known layout")
    parser.add_argument("--pairs", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "start.toml"
        steps = options.pairs // 4
        config.write_text(CONFIG.format(data=options.data.resolve(), pairs=options.pairs, steps=steps))
        cold, warm = (run(config, Path(folder), name) for name in ("cold", "warm"))
    print(f"{'seconds':<16} {'cold':>8} {'warm':>8}")
    for name in cold:
        print(f"{name:<16} {cold[name]:>8.1f} {warm[name]:>8.1f}")
    return 0


def run(config: Path, folder: Path, name: str) -> dict[str, float]:
    """Seconds of each phase of a run."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)
    command = [sys.executable, "-m", "dpo_tui", "--headless", str(config), "--run", name, "--json"]
    start = time.time()
    done = subprocess.run([*command, "--runs", str(folder)], capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return seconds(list(read_events(folder / name / "events.jsonl")), start)


def seconds(events: list[dict[str, Any]], start: float) -> dict[str, float]:
    told: dict[str, float] = {}
    for phase in PHASES:
        times = {e["state"]: e["time"] for e in events if e["type"] == "phase" and e["phase"] == phase}
        told[phase] = times["end"] - times["start"]
    first = next(event for event in events if event["type"] == "step")
    return {**told, "to first step": first["time"] - start}


if __name__ == "__main__":
    sys.exit(main())
