"""From the way a rank ended to the run's exit code and a reason that names the rank."""

import os
import signal
from pathlib import Path
from typing import Any

from engine.exits import COMMON_ENDS, Exit
from engine.launch.ranks import RankExit
from engine.rundir.paths import RunDir
from engine.rundir.status import Reason, State

_LOG_BYTES = 4096
_LOG_LINES = 3
_MEANINGS = {
    Exit.TRAINING_FAILED: "the training failed",
    Exit.USAGE: "the config or the command is wrong",
    Exit.UNUSABLE: "the data or the model cannot be used",
    Exit.HUB: "the hub could not be used",
    Exit.STOPPED: "stopped on request; the last checkpoint is saved",
    Exit.CANNOT_WRITE: "it could not write: no space or no permission",
    Exit.NON_FINITE: "a number became NaN or infinite",
    Exit.ENVIRONMENT: "this machine lacks what the config asks for",
    Exit.INTERRUPTED: "interrupted",
}


def state_of(code: Exit) -> State:
    """The final state that an exit code stands for."""
    if code is Exit.DONE:
        return "done"
    return "stopped" if code in (Exit.STOPPED, Exit.INTERRUPTED) else "failed"


def exit_of(code: int) -> Exit:
    """A rank's exit code as the run's: a signal, or a code that has no meaning here, is a failed training."""
    try:
        return Exit(code)
    except ValueError:
        return Exit.TRAINING_FAILED


def reason_for(ended: RankExit, end_event: dict[str, Any] | None, log: str, oom: bool) -> Reason | None:
    """Why the run ended: the signal, else rank 0's last words if they fit, else the end of the rank's log."""
    if ended.code < 0:
        return _killed(ended, oom)
    speaks = ended.rank == 0 or ended.code in COMMON_ENDS
    if speaks and end_event is not None and end_event.get("exit_code") == ended.code:
        params = end_event.get("params")
        return Reason(
            code=str(end_event.get("code", "")),
            text=str(end_event.get("text", "")),
            params=params if isinstance(params, dict) else {},
        )
    if ended.code == Exit.DONE:
        return None
    meaning = _MEANINGS[exit_of(ended.code)]
    text = f"rank {ended.rank} ended with exit code {ended.code}: {log or meaning}"
    case = "" if log else f"exit_{int(exit_of(ended.code))}"
    return Reason(
        "rank.exited", text, {"rank": ended.rank, "exit_code": ended.code, "log": log, "case": case}
    )


def log_end(path: Path, offset: int) -> str:
    """The last lines of a log that are not empty, from `offset` on."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(offset, end - _LOG_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join([line.strip() for line in lines if line.strip()][-_LOG_LINES:])


def oom_kills() -> int:
    """How many processes of this cgroup the kernel killed for want of memory; 0 where that cannot be read."""
    try:
        own = Path("/proc/self/cgroup").read_text(encoding="utf-8").rpartition("0::")[2].strip()
        events = (Path("/sys/fs/cgroup") / own.lstrip("/") / "memory.events").read_text(encoding="utf-8")
        return int(dict(line.split() for line in events.splitlines())["oom_kill"])
    except (OSError, ValueError, KeyError):
        return 0


def log_offsets(run: RunDir, world: int) -> dict[int, int]:
    """Where each rank's log ends now: what comes after belongs to the attempt that starts."""
    logs = {rank: run.rank_log(rank) for rank in range(world)}
    return {rank: log.stat().st_size if log.exists() else 0 for rank, log in logs.items()}


def _killed(ended: RankExit, oom: bool) -> Reason:
    number = -ended.code
    name = signal.Signals(number).name if number in set(signal.Signals) else "unknown"
    text = f"rank {ended.rank} was killed by signal {number} ({name})"
    case = ""
    if oom:
        case = "out_of_memory"
        text += ": the kernel's out-of-memory killer; lower tokens_per_pack, or give it more memory"
    elif number == signal.SIGKILL:
        case = "killed"
        text += ", probably out of memory"
    params = {"rank": ended.rank, "signal": number, "name": name, "oom": oom, "case": case}
    return Reason("rank.killed", text, params)
