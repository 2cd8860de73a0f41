"""How a job stands, asked of squeue, then of sacct. Both may be missing, slow, or have forgotten the job.

Their answers are words of Slurm's own: of a job only its state and its reason are asked for, never a name.
"""

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.launch.slurm.command import Answer, call, order
from engine.rundir.job import JobRecord

FRESH_SECONDS = 5.0
"""How long an answer counts: squeue loads the controller that all users share."""
_TIMEOUT = 20.0

WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"})
AT_WORK = frozenset(
    {"RUNNING", "CONFIGURING", "COMPLETING", "STAGE_OUT", "SIGNALING", "SUSPENDED", "STOPPED", "RESIZING"}
)

NEVER = frozenset(
    {
        "PartitionConfig",
        "PartitionNodeLimit",
        "PartitionTimeLimit",
        "PartitionInactive",
        "BadConstraints",
        "AccountNotAllowed",
        "InvalidAccount",
        "InvalidQOS",
        "QOSNotAllowed",
        "AssocMaxWallDurationPerJobLimit",
        "AssocMaxNodePerJobLimit",
        "AssocMaxCpuPerJobLimit",
        "AssocMaxGRESPerJob",
        "QOSMaxWallDurationPerJobLimit",
        "QOSMaxNodePerJobLimit",
        "QOSMaxCpuPerJobLimit",
        "QOSMaxGRESPerJob",
        "JobHeldAdmin",
        "DependencyNeverSatisfied",
        "ReservationDeleted",
    }
)
"""Reasons for which a job waits until somebody changes it, or the cluster."""

FORGOTTEN = "FORGOTTEN"
"""Not a word of Slurm's: it knows no such job any more."""
_NO_SUCH_JOB = "Invalid job id"

_WORD = re.compile(r"[A-Za-z0-9_:,()./ -]{0,200}")


@dataclass(frozen=True, slots=True)
class JobState:
    """A job's `state`, and why it waits: Slurm's own words."""

    state: str
    reason: str = ""

    @property
    def waits(self) -> bool:
        """Whether it has not begun, or begins again."""
        return self.state in WAITING

    @property
    def live(self) -> bool:
        """Whether it may still run."""
        return self.waits or self.state in AT_WORK

    @property
    def never(self) -> bool:
        """Whether it will not begin as it is."""
        return self.waits and self.reason in NEVER


class Queue:
    """Answers about jobs, asked for in the background and kept for some seconds. For all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, JobState | None]] = {}
        self._asking: dict[str, threading.Thread] = {}

    def state(self, job: JobRecord, patience: float) -> JobState | None:
        """How the job stands; None where nobody knows, or where the answer takes longer than `patience` seconds."""
        with self._lock:
            at, known = self._known.get(job.id, (-FRESH_SECONDS, None))
            if time.monotonic() - at < FRESH_SECONDS:
                return known
            asking = self._asking.get(job.id)
            if asking is None:
                asking = threading.Thread(target=self._ask, args=(job,), daemon=True)
                self._asking[job.id] = asking
                asking.start()
        asking.join(patience)
        with self._lock:
            return self._known.get(job.id, (0.0, None))[1]

    def forget(self, job: JobRecord) -> None:
        """Ask anew next time."""
        with self._lock:
            self._known.pop(job.id, None)

    def _ask(self, job: JobRecord) -> None:
        answer = ask(job)
        with self._lock:
            self._known[job.id] = (time.monotonic(), answer)
            del self._asking[job.id]


QUEUE = Queue()


def ask(job: JobRecord) -> JobState | None:
    """How a job stands, by squeue or, where it has forgotten it, by sacct; None where nobody can be asked.

    Without accounting the controller alone knows of jobs, and of one that is over for some minutes only.
    """
    there = [] if job.cluster is None else [f"--clusters={job.cluster}"]
    listed = _answer(["squeue", "--noheader", "--states=all", *there, f"--jobs={job.id}", "--format=%T|%r"])
    if state := in_queue(listed.out):
        return state
    told = _answer(["sacct", "-n", "-X", "-P", *there, "-j", job.id, "-o", "State,Reason"])
    return in_queue(told.out) or (JobState(FORGOTTEN) if _NO_SUCH_JOB in listed.refusal else None)


def in_queue(text: str) -> JobState | None:
    """The state in an answer of the form STATE|REASON; the first line that has one."""
    for line in text.splitlines():
        state, _, reason = line.strip().partition("|")
        word = state.split(" ")[0].rstrip("+")  # "CANCELLED by 1000"
        if re.fullmatch(r"[A-Z_]{3,40}", word):
            return JobState(word, reason if _WORD.fullmatch(reason) and reason != "None" else "")
    return None


def cancel(job: JobRecord) -> str:
    """End a job; returns what scancel said against it, empty where it did."""
    there = [] if job.cluster is None else [f"--clusters={job.cluster}"]
    QUEUE.forget(job)
    return order(["scancel", *there, job.id])


def _answer(argv: Sequence[str]) -> Answer:
    """What a command prints: nothing where it is missing, fails or does not answer."""
    try:
        answer = call(argv, _TIMEOUT)
    except OSError as error:
        return Answer(1, "", str(error))
    return answer if answer.code == 0 else replace(answer, out="")
