"""What the tests with root share: real runs by the command itself, on disks that they fill and take away."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from engine.rundir.paths import RunDir
from engine.rundir.status import read_record, read_status
from engine.rundir.tail import Tail
from tests.engine.runs import CONFIG, write_pairs
from tests.engine.tiny_folder import write_folder
from tests.waiting import until

Mount = Callable[[str, str], Path]
MIB = 1 << 20


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """All of them need root, and run by `make test-cluster` alone."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("cluster")


@pytest.fixture(autouse=True)
def root() -> None:
    """Without root nothing here can be tried."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount disks and to make namespaces")


@pytest.fixture(scope="session")
def container() -> list[str]:
    """The words before a command that make it the first process of a container of its own."""
    words = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    tried = subprocess.run([*words, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"no namespaces can be made here: {tried.stderr.strip()}")
    return words


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's folder, to read only."""
    return write_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 30 good pairs, to read only."""
    return write_pairs(tmp_path_factory.mktemp("pairs") / "pairs.jsonl")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a tmpfs of a size (such as "8m") under a name, and takes it away in the end."""
    mounted: list[Path] = []

    def make(name: str, size: str) -> Path:
        place = tmp_path / name
        place.mkdir()
        tried = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)],
            capture_output=True,
            text=True,
        )
        if tried.returncode:
            pytest.skip(f"no disks can be mounted here: {tried.stderr.strip()}")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    """Change the options of a mounted disk: "ro", "rw", "size=64m"."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


def fill(place: Path) -> Path:
    """Leave not a byte free on the disk of `place`. Returns the file that takes it all."""
    path = place / "ballast"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(64 << 10))
        except OSError:
            return path


def write_config(place: Path, runs: Path, model: Path, pairs: Path) -> Path:
    """The config of a run called tiny in `runs`."""
    path = place / "tiny.toml"
    path.write_text(CONFIG.format(name="tiny", folder=runs, model=model, pairs=pairs))
    return path


def command(*words: object) -> list[str]:
    """`dpo-tui` with these words."""
    return [sys.executable, "-P", "-m", "dpo_tui", *map(str, words)]


def call(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    """`dpo-tui` to its end."""
    return subprocess.run(command(*words), text=True, capture_output=True, **options)  # type: ignore[call-overload, no-any-return]


def start(*words: object) -> subprocess.Popen[str]:
    """`dpo-tui`, still running."""
    return subprocess.Popen(command(*words), text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def start_group(*words: object) -> subprocess.Popen[str]:
    """`dpo-tui`, still running, first of a process group of its own, as a shell starts it."""
    return subprocess.Popen(
        command(*words), text=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
    )


def trained_a_step(run: RunDir) -> None:
    """Wait until the run trains; fails with the reason if it ends instead."""
    tail = Tail(run.events)

    def trains() -> bool:
        status = read_status(run.status_json)
        assert status is None or not status.final, status
        return any(event["type"] == "step" for event in tail.read())

    until(trains, 90)


def ranks_of(run: RunDir) -> list[int]:
    """The processes that a run's supervisor has started and not yet collected."""
    record = read_record(run.run_json)
    assert record is not None
    return children(record.pid)


def children(pid: int) -> list[int]:
    """The processes whose parent is `pid`, zombies among them."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def processes(word: Path) -> list[int]:
    """Every process that has a path among its words."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(word) in words:
            found.append(int(entry.name))
    return found
