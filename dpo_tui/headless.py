"""Training without screens: start a run and follow it, or follow one that somebody else started.

What starts a run here owns it. INT, TERM and HUP ask for a checkpoint and the end, a second INT kills, and when
this process dies in any other way the run's supervisor does the same. `detach` gives the ownership away.
"""

import json as jsonlib
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from dpo_tui.display import prints_json, say, talk
from dpo_tui.dry_run import describe
from dpo_tui.ending import announce, ending_of
from dpo_tui.follow_events import follow_events
from dpo_tui.job_follow import send_and_follow
from dpo_tui.runs import effective_state
from dpo_tui.setting_off import to_start
from dpo_tui.starting import Prepared, make_ready
from dpo_tui.sweep import Sweep, send_sweep
from dpo_tui.text import t
from engine.exits import Exit, UsageError
from engine.launch.local import SupervisorCommand, spawn_supervisor, supervisor_command
from engine.process import reap_strays
from engine.rundir.events import complete_size
from engine.rundir.paths import RunDir
from engine.rundir.status import read_record

_POLL_SECONDS = 0.1


def launch(
    config: Path,
    *,
    run_name: str | None = None,
    runs_dir: Path | None = None,
    overrides: Sequence[str] = (),
    json: bool = False,
    dry_run: bool = False,
    resume: bool = False,
    detach: bool = False,
    supervisor: SupervisorCommand = supervisor_command,
) -> Exit:
    """Train what a config says and stay until it ends; returns the run's exit code.

    With `detach` return as soon as the run has started, with `dry_run` print what would be started and write
    nothing. A run to resume that is done already is shown. Raises EngineError when the run cannot start.
    `supervisor` replaces the command of the supervisor.
    """
    if dry_run and json:
        text = "--dry-run prints TOML, the config as it would be trained: leave out --json"
        raise UsageError("cli.dry_run_json", text)
    what = to_start(config, run_name=run_name, runs_dir=runs_dir, overrides=overrides, resume=resume)
    if dry_run:
        describe(what, supervisor)
        return Exit.DONE
    if isinstance(what, Sweep):
        return send_sweep(what, json=json, detach=detach)
    return _start(what, supervisor, json=json, detach=detach)


def attach(run: Path, *, json: bool = False) -> Exit:
    """Follow a run from its start to its end; returns its exit code, or 130 when Ctrl-C leaves it to itself."""
    directory = RunDir(run.absolute())
    try:
        if prints_json(json=json) or not effective_state(directory).final:
            follow_events(directory, lambda: not effective_state(directory).final, offset=0, json=json)
    except KeyboardInterrupt:
        talk(t("command.goes_on", name=directory.name, where=shlex.quote(str(directory.root))))
        return Exit.INTERRUPTED
    return announce(directory, ending_of(directory, None))


def _start(prepared: Prepared, supervisor: SupervisorCommand, *, json: bool, detach: bool) -> Exit:
    """Start a run where its config says, unless it is done already."""
    if prepared.done:
        return attach(prepared.run.root, json=json)
    if prepared.export_ignored:
        talk(t("command.export_ignored", path=prepared.run.config))
    if prepared.on_cluster:
        return send_and_follow(prepared, json=json, detach=detach)
    make_ready(prepared)
    if detach:
        return _start_and_leave(prepared.run, supervisor, json=json)
    return _start_and_follow(prepared.run, supervisor, json=json)


def _start_and_follow(run: RunDir, command: SupervisorCommand, *, json: bool) -> Exit:
    offset = complete_size(run.events)
    with _Owner() as owner:
        process = spawn_supervisor(run, owner=True, command=command)
        owner.watch(process)
        talk(t("command.started", name=run.name, root=run.root, log=run.train_log.name))
        follow_events(run, owner.waiting, offset=offset, json=json)
        return announce(run, ending_of(run, process))


def _start_and_leave(run: RunDir, command: SupervisorCommand, *, json: bool) -> Exit:
    """Wait until the supervisor has taken over, then print the run's name."""
    process = spawn_supervisor(run, owner=False, command=command)
    while not _taken_over(run, process):
        if process.poll() is not None:
            return announce(run, ending_of(run, process))
        time.sleep(_POLL_SECONDS)
    where = shlex.quote(str(run.root))
    talk(t("command.detached", where=where))
    say(jsonlib.dumps({"name": run.name, "path": str(run.root)}) if json else run.name)
    return Exit.DONE


def _taken_over(run: RunDir, process: subprocess.Popen[bytes]) -> bool:
    record = read_record(run.run_json)
    return record is not None and record.pid == process.pid and record.supervisor.alive()


class _Owner:
    """Passes the signals of this process on to the supervisor, for as long as the run is followed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = 0
        self._first: int | None = None
        self._notices: list[str] = []  # keys: a handler must not write, it may have interrupted a write

    def __enter__(self) -> "_Owner":
        self._before = {number: signal.signal(number, self._hear) for number in _passed_on()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def watch(self, process: subprocess.Popen[bytes]) -> None:
        """From now on signals go to `process`, with one that came before."""
        self._process = process
        if self._first is not None:
            process.send_signal(_request(self._first))

    def waiting(self) -> bool:
        """Whether the supervisor still runs; says what became of the signals since the last call."""
        while self._notices:
            talk(t(self._notices.pop(0)))
        if self._process is None:
            return False
        reap_strays({self._process.pid})
        return self._process.poll() is None

    def _hear(self, number: int, _: FrameType | None) -> None:
        self._heard += 1
        self._first = self._first or number
        kill = self._heard > 1 and number == signal.SIGINT
        self._notices.append("command.killing" if kill else "command.stopping")
        if self._process is not None:
            self._process.send_signal(signal.SIGINT if kill else _request(number))


def _request(number: int) -> signal.Signals:
    """What asks the supervisor for a stop: HUP tells it that the terminal is gone; a second INT would kill."""
    return signal.SIGHUP if number == signal.SIGHUP else signal.SIGTERM


def _passed_on() -> Iterator[signal.Signals]:
    """INT and TERM, and HUP unless `nohup` had it ignored."""
    yield signal.SIGINT
    yield signal.SIGTERM
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        yield signal.SIGHUP
