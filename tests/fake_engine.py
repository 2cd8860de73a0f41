"""A training that costs nothing: it writes the same events and checkpoints, and misbehaves as it is told.

python -P tests/fake_engine.py rank DIR [options]               one training process
python -P tests/fake_engine.py run DIR [--owner P:S] [options]  the real supervisor with such ranks
python -P tests/fake_engine.py headless CONFIG [options]        the real headless launch with such a supervisor
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from engine.exits import EngineError, Exit
from engine.launch.local import SupervisorCommand
from engine.launch.ranks import RankCommand
from engine.process import ProcessId, parent_death_signal
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.control import Control
from engine.rundir.events import EventWriter
from engine.rundir.paths import RunDir

SCRIPT = [sys.executable, "-P", str(Path(__file__).absolute())]

CONFIG = """
[model]
source = "builtin"
id = "smollm2-135m-instruct"
[[data.sources]]
source = "builtin"
path = "quickstart"
"""


def write_config(directory: Path, name: str = "tiny") -> Path:
    """A valid config whose runs live in `directory`/runs."""
    path = directory / f"{name}.toml"
    path.write_text(f'[run]\ndir = "{directory}/runs"\n{CONFIG}')
    return path


def ranks(*options: str) -> RankCommand:
    """The command of fake ranks for `supervise`."""

    def command(run: RunDir, rank: int, world: int, _port: int) -> tuple[list[str], dict[str, str]]:
        return [*SCRIPT, "rank", str(run.root), *options], {"RANK": str(rank), "WORLD_SIZE": str(world)}

    return command


def supervisor(*options: str) -> SupervisorCommand:
    """The command of a supervisor of fake ranks for `launch`."""

    def command(run: RunDir, owner: ProcessId | None) -> list[str]:
        owned = ["--owner", f"{owner.pid}:{owner.start_time}"] if owner else []
        return [*SCRIPT, "run", str(run.root), *owned, *options]

    return command


def main(argv: Sequence[str]) -> int:
    verb, where, *rest = argv
    if verb == "rank":
        try:
            return _rank(RunDir(Path(where)), _behaviour(rest))
        except EngineError as error:
            return error.exit
    if verb == "run":
        return _supervise(RunDir(Path(where)), rest)
    return _headless(Path(where), rest)


def _supervise(run: RunDir, rest: list[str]) -> Exit:
    from engine.supervise import supervise

    owner = None
    if rest[:1] == ["--owner"]:
        pid, started = rest[1].split(":")
        owner, rest = ProcessId(int(pid), float(started)), rest[2:]
    return supervise(run, rank_argv=ranks(*rest), owner=owner)


def _headless(config: Path, rest: list[str]) -> Exit:
    from dpo_tui.headless import launch

    own = [option for option in rest if option in ("--json", "--resume", "--detach")]
    fake = supervisor(*(option for option in rest if option not in own))
    try:
        return launch(
            config,
            json="--json" in own,
            resume="--resume" in own,
            detach="--detach" in own,
            supervisor=fake,
        )
    except EngineError as error:
        print(error, file=sys.stderr)
        return error.exit


def _behaviour(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--pause", type=float, default=0.01, help="seconds a step takes")
    parser.add_argument("--endless", action="store_true", help="go on until asked to stop")
    parser.add_argument("--fail-at", type=int, help="at this step end with --code, without a last word")
    parser.add_argument("--code", type=int, default=1)
    parser.add_argument("--say", help="what is written to stderr before failing")
    parser.add_argument("--non-finite-at", type=int)
    parser.add_argument("--kill-at", type=int, help="at this step kill this process with --signal")
    parser.add_argument("--signal", type=int, default=int(signal.SIGKILL))
    parser.add_argument("--rank", type=int, default=0, help="the rank that fails")
    parser.add_argument("--deaf", action="store_true", help="ignore requests to stop, and TERM")
    parser.add_argument("--fail-on-stop", action="store_true", help="end with --code when asked to stop")
    parser.add_argument("--last", action="store_true", help="rank 0 ends only when rank 1 has")
    parser.add_argument("--child", action="store_true", help="start a child that would outlive this process")
    return parser.parse_args(argv)


def _rank(run: RunDir, options: argparse.Namespace) -> int:
    parent_death_signal()
    rank = int(os.environ.get("RANK", "0"))
    if options.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (run.root / f"rank-{rank}.pid").write_text(str(os.getpid()))
    if options.child and os.fork() == 0:
        (run.root / "child.pid").write_text(str(os.getpid()))
        time.sleep(600)
        os._exit(0)
    if rank > 0:
        return _follower(run, rank, options)
    with EventWriter(run.events) as events:
        return _train(run, options, events)


def _await_the_other(run: RunDir) -> None:
    """Until rank 1 has ended and its supervisor has collected it."""
    other = run.root / "rank-1.pid"
    while not other.exists() or not other.read_text() or Path("/proc", other.read_text()).exists():
        time.sleep(0.01)


def _follower(run: RunDir, rank: int, options: argparse.Namespace) -> int:
    while not (run.root / "rank-0.pid").exists():
        time.sleep(0.01)
    step = 0
    while not (Control(run.control_dir).stop_requested() and not options.deaf):
        time.sleep(options.pause)
        step += 1
        if step >= options.steps and not options.endless:
            return Exit.DONE
        if code := _misbehave(rank, step, options):
            return code
    return Exit.STOPPED


def _train(run: RunDir, options: argparse.Namespace, events: EventWriter) -> int:
    index, control = CheckpointIndex(run.checkpoints_dir), Control(run.control_dir)
    first = index.newest_verified(lambda *_: None) or 0
    if first:
        events.emit("resume", attempt=2, from_step=first)
    events.phase("train", "start", total=options.steps)
    step = first
    while step < options.steps or options.endless:
        time.sleep(options.pause)
        step += 1
        if code := _misbehave(0, step, options):
            return code
        events.emit("step", step=step, loss=1 / step, **{"rewards/margins": 0.1, "rewards/accuracies": 0.5})
        if options.non_finite_at == step:
            if options.last:
                _await_the_other(run)
            events.end(Exit.NON_FINITE, "train.non_finite", f"the loss of step {step} is NaN", step=step)
            return Exit.NON_FINITE
        if control.take_checkpoint_request():
            _save(index, step, events)
        if control.stop_requested() and options.fail_on_stop:
            print(options.say, file=sys.stderr, flush=True)
            return int(options.code)
        if control.stop_requested() and not options.deaf:
            if options.last:
                _await_the_other(run)
            _save(index, step, events)
            events.end(Exit.STOPPED, "train.stopped", f"stopped at step {step}", step=step)
            return Exit.STOPPED
    events.phase("train", "end")
    _save(index, step, events)
    events.emit("export", path=str(run.export_dir))
    events.end(Exit.DONE, "train.done", f"{step} steps", steps=step)
    return Exit.DONE


def _misbehave(rank: int, step: int, options: argparse.Namespace) -> int:
    """The code to end with at this step, if that is what this rank shall do."""
    if rank != options.rank:
        return 0
    if options.kill_at == step:
        os.kill(os.getpid(), options.signal)
    if options.fail_at == step:
        print(options.say or "", file=sys.stderr, flush=True)
        return int(options.code)
    return 0


def _save(index: CheckpointIndex, step: int, events: EventWriter) -> None:
    (index.staging(step) / "weights.bin").write_bytes(bytes([step % 256]) * 100)
    path = index.commit(
        step,
        epoch=step / 10,
        metrics={"eval_loss": 1 / step},
        config_digest="c",
        data_digest="d",
        model_digest="m",
        world_size=1,
        versions={},
    )
    events.emit("eval", step=step, loss=1 / step)
    events.emit("save", step=step, path=str(path), seconds=0.0, bytes=100, verified=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
