"""What a control group, a container's or a job's, lets its processes take of the machine's memory."""

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
NO_LIMIT = 1 << 62


def own_limit() -> int:
    """Bytes that this process's group may take; `NO_LIMIT` where nothing limits it."""
    try:
        return limit_of(OWN.read_text(encoding="utf-8"))
    except OSError:
        return NO_LIMIT


def limit_of(groups: str) -> int:
    """The least limit of the groups in `groups`, the text of a process's /proc/PID/cgroup, and of those around them."""
    lines = (line.split(":", 2) for line in groups.splitlines())
    inner = [ROOT / parts[2].strip("/") for parts in lines if len(parts) == 3]
    folders = {folder for path in inner for folder in (path, *path.parents) if folder.is_relative_to(ROOT)}
    return min((_limit_in(folder) for folder in folders), default=NO_LIMIT)


def _limit_in(folder: Path) -> int:
    try:
        text = (folder / "memory.max").read_text(encoding="utf-8").strip()
    except OSError:
        return NO_LIMIT
    return int(text) if text.isdigit() else NO_LIMIT
