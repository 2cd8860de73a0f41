"""The parent of a run: starts the ranks, watches them, reaps them, and says how the run stands and ended.

It needs no torch, so it lives however the training dies. It alone writes `run.json`, `status.json` and
`summary.json`. When it is killed the kernel kills its ranks; when the run's owner is gone it stops the run.
"""

import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import FrameType

from engine.config.load import load_config
from engine.config.schema import Config
from engine.exits import COMMON_ENDS, CannotWriteError, EngineError, Exit
from engine.launch.local import STOPPING_SIGNALS, rank_command
from engine.launch.ranks import LocalRanks, RankCommand, RankExit, Ranks
from engine.launch.slurm import requeue
from engine.launch.slurm.job import Job
from engine.launch.slurm.step import StepRanks
from engine.launch.verdict import exit_of, log_end, log_offsets, oom_kills, reason_for, state_of
from engine.process import ProcessId
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.control import Control
from engine.rundir.files import no_room
from engine.rundir.lock import RunLock
from engine.rundir.paths import RunDir
from engine.rundir.progress import Progress
from engine.rundir.status import Reason, RunRecord, State, Status, read_record, write_record, write_status
from engine.rundir.summary import write_summary

_POLL_SECONDS = 0.1
_HEARTBEAT_SECONDS = 1.0
_GRACE_SECONDS = 10.0
_UNASKED = {
    "orphaned": "the terminal or job that started it is gone",
    "terminated": "Slurm ended the job, for scancel or for a node that failed",
}
"""Why a run stopped that nobody asked to stop, by case."""


def supervise(run: RunDir, rank_argv: RankCommand | None = None, owner: ProcessId | None = None) -> Exit:
    """Carry a run through to its end; returns its exit code, which `status.json` then holds as well.

    `rank_argv` replaces the command of the ranks. Raises UsageError when the run has a supervisor already.
    """
    with RunLock(run.lock), _listening() as heard:
        return _Supervisor(run, rank_argv or rank_command, owner, heard).run()


@contextmanager
def _listening() -> Iterator[list[signal.Signals]]:
    """Collect the signals that ask for a stop, with those that came before anybody listened."""
    heard: list[signal.Signals] = []

    def hear(number: int, _: FrameType | None) -> None:
        heard.append(signal.Signals(number))

    asking = STOPPING_SIGNALS | {signal.SIGUSR1}
    before = {number: signal.signal(number, hear) for number in asking}
    before[signal.SIGCHLD] = signal.signal(
        signal.SIGCHLD, signal.SIG_DFL
    )  # ignored, exit codes would be lost
    signal.pthread_sigmask(signal.SIG_UNBLOCK, asking)
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Supervisor:
    def __init__(
        self, run: RunDir, rank_argv: RankCommand, owner: ProcessId | None, heard: list[signal.Signals]
    ) -> None:
        self._run = run
        self._rank_argv = rank_argv
        self._owner = owner
        self._heard = heard
        self._control = Control(run.control_dir)
        self._progress = Progress(run.events)
        self._state: State = "starting"
        self._decisive: RankExit | None = None
        self._deadline: float | None = None
        self._job: Job | None = None
        self._orphaned = False
        self._killed = False
        self._out_of_time = False
        self._beaten = 0.0
        self._began = time.monotonic()
        self._oom_kills = oom_kills()
        self._refused: CannotWriteError | None = None
        """Why the ranks could not be asked to stop, and were ended."""

    def run(self) -> Exit:
        """Prepare, carry through, conclude; whatever fails here is a final status as well."""
        try:
            config = load_config(self._run.config).config
            if config.launch.launcher == "slurm":
                self._job = Job.of(os.environ)
            self._prepare()
            before = self._saved()
            code, reason = self._train(config)
            if self._out_of_time and code is Exit.STOPPED and not self._control.stop_wished():
                if (queued := self._queue_again(config, before)) is None:
                    return code
                code, reason = queued
        except EngineError as error:
            code, reason = error.exit, Reason(error.code, error.text, error.params)
        except Exception as error:
            text = f"the supervisor failed: {type(error).__name__}: {error}"
            self._conclude(
                Exit.TRAINING_FAILED,
                Reason("supervisor.failed", text, {"detail": f"{type(error).__name__}: {error}"}),
            )
            raise
        if code is Exit.STOPPED and reason is not None and (case := self._unasked):
            reason = replace(
                reason, text=f"{_UNASKED[case]}; {reason.text}", params={**reason.params, "case": case}
            )
        self._conclude(code, reason)
        return code

    @property
    def _unasked(self) -> str:
        """The case of a stop that nobody asked for; empty for any other."""
        if self._orphaned:
            return "orphaned"
        return "terminated" if self._job is not None and self._heard[:1] == [signal.SIGTERM] else ""

    def _prepare(self) -> None:
        self._control.clear(sent=None if self._job is None else self._run.job_json)
        CheckpointIndex(self._run.checkpoints_dir).recover()
        self._run.summary_json.unlink(missing_ok=True)
        before = read_record(self._run.run_json)
        own = ProcessId.own()
        record = RunRecord(
            id=before.id if before else uuid.uuid4().hex,
            pid=own.pid,
            start_time=own.start_time,
            owner=self._owner,
            host=socket.gethostname(),
            launcher="local" if self._job is None else "slurm",
            job_id=None if self._job is None else self._job.id,
            argv=sys.orig_argv,
        )
        self._beat()
        write_record(self._run.run_json, record)

    def _ranks(self, config: Config) -> Ranks:
        if self._job is not None:
            return StepRanks(self._run, config, self._job)
        return LocalRanks(self._run, config.launch.world, self._rank_argv)

    def _train(self, config: Config) -> tuple[Exit, Reason | None]:
        """Run the ranks to their end; returns the verdict on them."""
        offsets = log_offsets(self._run, config.launch.world)
        ranks = self._ranks(config)
        try:
            self._listen(ranks)
            if self._state == "stopping":
                return Exit.STOPPED, Reason("run.stopped_early", "stopped before the training began")
            ranks.start(_rank_environment(config.launch.per_node))
            while ranks.running:
                time.sleep(_POLL_SECONDS)
                self._listen(ranks)
                self._watch(ranks)
                ranks.reap_strays()
                self._beat()
        finally:
            ranks.send(signal.SIGKILL)
        return self._verdict(offsets)

    def _listen(self, ranks: Ranks) -> None:
        """Turn signals, the loss of the owner and requests of others into a stop; a second INT kills."""
        gone = self._heard[:1] == [signal.SIGHUP] or (self._owner is not None and not self._owner.alive())
        asked = gone or bool(self._heard) or self._control.stop_requested()
        if asked and self._state != "stopping":
            self._orphaned = gone
            self._out_of_time = self._heard[:1] == [signal.SIGUSR1] and self._job is not None
            self._state = "stopping"
            self._beat(force=True)
            self._pass_on(ranks)
        if signal.SIGINT in self._heard[1:] and not self._killed:
            self._killed = True
            ranks.send(signal.SIGKILL)

    def _pass_on(self, ranks: Ranks) -> None:
        """Ask the ranks to stop; on a full disk, where no checkpoint could be saved either, end them."""
        try:
            self._control.pass_on_stop()
        except CannotWriteError as error:
            _complain(error)
            self._refused = error
            ranks.send(signal.SIGTERM)

    def _watch(self, ranks: Ranks) -> None:
        """Collect ended ranks. After the first failure the others have some seconds to end themselves."""
        for ended in ranks.ended():
            if self._decisive is None or _severity(ended) > _severity(self._decisive):
                self._decisive = ended
            if exit_of(ended.code) not in COMMON_ENDS and self._deadline is None:
                self._deadline = time.monotonic() + _GRACE_SECONDS
                ranks.send(signal.SIGTERM)
        if self._deadline is not None and time.monotonic() > self._deadline:
            ranks.send(signal.SIGKILL)

    def _beat(self, *, force: bool = False) -> None:
        """Say how the run stands: at once when its state changes, else every second."""
        self._progress.update()
        if self._state == "starting" and self._progress.events:
            self._state, force = "running", True
        if not force and time.monotonic() - self._beaten < _HEARTBEAT_SECONDS:
            return
        self._beaten = time.monotonic()
        try:
            write_status(self._run.status_json, self._status(self._state))
        except CannotWriteError as error:
            _complain(error)  # the training may still finish, and so must this

    def _status(self, state: State, code: Exit | None = None, reason: Reason | None = None) -> Status:
        return Status(
            state=state,
            exit_code=None if code is None else int(code),
            reason=reason,
            heartbeat=time.time(),
            step=self._progress.step,
            total=self._progress.total,
        )

    def _saved(self) -> int:
        """The newest checkpoint's step; 0 without one."""
        return CheckpointIndex(self._run.checkpoints_dir).latest() or 0

    def _queue_again(self, config: Config, before: int) -> tuple[Exit, Reason] | None:
        """Have the job start anew, whose time is nearly up; returns how it ends where it cannot, None where it will."""
        assert self._job is not None
        step = self._saved()
        if (end := requeue.end_instead(config.launch.job, step, before)) is not None:
            return end
        queued = replace(self._status("queued"), reason=requeue.queued(self._job, step))
        write_status(self._run.status_json, queued)
        refusal = self._job.requeue()  # after this Slurm ends this process
        return requeue.refused(step, refusal) if refusal else None

    def _verdict(self, offsets: dict[int, int]) -> tuple[Exit, Reason | None]:
        self._progress.update()
        if self._killed:
            text = "killed on request; resume goes on from the last checkpoint"
            return Exit.INTERRUPTED, Reason("run.killed", text)
        ended = self._decisive
        assert ended is not None, "a run has at least one rank"
        if ended.code < 0 and (refused := self._refused) is not None:
            return refused.exit, Reason(refused.code, refused.text, refused.params)
        log = log_end(self._run.rank_log(ended.rank), offsets[ended.rank])
        if not log and exit_of(ended.code) is Exit.CANNOT_WRITE:
            log = no_room(self._run.root)
        oom = oom_kills() > self._oom_kills
        return exit_of(ended.code), reason_for(ended, self._progress.end, log, oom)

    def _conclude(self, code: Exit, reason: Reason | None) -> None:
        """Write the summary, then the final status: who sees the one finds the other."""
        status = self._status(state_of(code), code, reason)
        seconds = time.monotonic() - self._began
        try:
            write_summary(self._run, status, since=self._progress.since, seconds=seconds)
        except CannotWriteError as error:
            _complain(error)
        write_status(self._run.status_json, status)


def _complain(error: EngineError) -> None:
    """Write an error to the log, which may be on the very disk that is full."""
    with suppress(OSError):
        print(error.text, file=sys.stderr, flush=True)


def _severity(ended: RankExit) -> int:
    """Of several ranks the first that failed decides, else one that stopped, else any."""
    return {Exit.DONE: 0, Exit.STOPPED: 1}.get(exit_of(ended.code), 2)


def _rank_environment(world: int) -> dict[str, str]:
    """The supervisor's environment, with threads that share a machine and a cuBLAS that repeats itself.

    Waiting threads sleep: spinning ones cost 2 % less alone and nearly twice the time beside one busy process.
    Several ranks divide the cores among them.
    """
    threads = {"OMP_WAIT_POLICY": "PASSIVE", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    if world > 1:
        threads["OMP_NUM_THREADS"] = str(max(1, len(os.sched_getaffinity(0)) // world))
    return {**threads, **os.environ}
