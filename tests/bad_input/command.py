"""`dpo-tui` in this process: the command, the supervisor and the rank are real, only nothing is spawned.

A case costs a tenth of a second instead of the seconds that importing torch takes three times over.
"""

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from dpo_tui import cli
from engine import train
from engine.__main__ import main as engine
from engine.exits import EngineError, Exit
from engine.launch.ranks import RankCommand, RankExit
from engine.rundir.paths import RunDir
from engine.rundir.status import Status, read_status
from engine.sanitize import visible


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left: its exit code, what it said, and the run's directory, if it made one."""

    code: int
    out: str
    err: str
    run: RunDir

    @property
    def log(self) -> str:
        return self.run.train_log.read_text(errors="replace") if self.run.train_log.exists() else ""

    @property
    def status(self) -> Status | None:
        return read_status(self.run.status_json)


class Command:
    """Calls `dpo-tui` with its words, each call in the directory `here`."""

    def __init__(self, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self._here = here
        self._capfd = capfd

    def __call__(self, *words: object) -> Outcome:
        self._capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(word) for word in words])
        out, err = self._capfd.readouterr()
        return Outcome(int(ended.value.code or 0), out, err, RunDir(self._here / "runs" / "tiny"))


class RanksHere:
    """In place of `LocalRanks`: the one rank trains here and has ended when `start` returns."""

    def __init__(self, run: RunDir, _world: int, _command: RankCommand) -> None:
        self._run = run
        self._exits: list[RankExit] = []

    def start(self, _environment: Mapping[str, str]) -> None:
        try:
            code = train.main(self._run.root)
        except EngineError as error:  # as `python -m engine rank` ends
            print(visible(error.text), file=sys.stderr)
            code = error.exit
        self._exits.append(RankExit(0, int(code)))

    @property
    def running(self) -> int:
        return len(self._exits)

    def ended(self) -> list[RankExit]:
        exits, self._exits = self._exits, []
        return exits

    def send(self, number: signal.Signals) -> None:
        """Nobody is left to hear it."""

    def reap_strays(self) -> None:
        """This is no container."""


class SupervisorHere:
    """In place of the supervisor's process: it has ended as soon as it is started."""

    def __init__(self, run: RunDir, **_: object) -> None:
        self.pid = os.getpid()
        with run.train_log.open("a") as log, redirect_stdout(log), redirect_stderr(log):
            self.returncode = int(engine(["run", str(run.root)]))

    def poll(self) -> int:
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Nobody is left to hear it."""


def stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what `dpo-tui` spawns run in this process."""

    def become_engine(*arguments: str) -> None:
        raise SystemExit(int(engine(arguments)))

    monkeypatch.setattr("dpo_tui.engine_verbs.become_engine", become_engine)
    monkeypatch.setattr("dpo_tui.headless.spawn_supervisor", SupervisorHere)
    monkeypatch.setattr("engine.supervise.LocalRanks", RanksHere)
    monkeypatch.setattr("engine.supervise._POLL_SECONDS", 0.0)


def refused(outcome: Outcome, code: Exit, *words: str) -> None:
    """The command ended before it made anything: its exit code, the words on stderr, and no run directory."""
    _ended(outcome, code, words)
    assert outcome.out == ""
    parent = outcome.run.root.parent
    assert not parent.exists() or not any(parent.iterdir()), list(parent.iterdir())


def failed(outcome: Outcome, code: Exit, *words: str) -> None:
    """The run ended by itself: exit code and words stand in its status as well, and nothing is half-written."""
    _ended(outcome, code, words)
    status = outcome.status
    assert status is not None
    assert (status.state, status.exit_code) == ("failed", code)
    assert status.reason is not None
    for word in words:
        assert word in status.reason.text, status.reason
    assert outcome.run.summary_json.exists()
    assert leftovers(outcome.run) == []


def _ended(outcome: Outcome, code: Exit, words: tuple[str, ...]) -> None:
    assert outcome.code == code, outcome
    for word in words:
        assert word in outcome.err, outcome.err
    for text in (outcome.out, outcome.err, outcome.log):
        assert "Traceback" not in text, text


def leftovers(run: RunDir) -> list[str]:
    """Names of what only exists while something is written."""
    partial = (".tmp", ".staging", ".replaced", ".pruned")
    names = [path.relative_to(run.root).as_posix() for path in run.root.rglob("*")]
    return sorted(
        name
        for name in names
        if any(mark in name for mark in partial) or name.endswith(("collected.arrow", "rows.sqlite"))
    )
