"""What is told of a machine: its own figures, those of a run, and nothing where nothing can be asked."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from textual.content import Content

from dpo_tui import host
from dpo_tui.host import Gpu, Load, gpus, look, memory_of
from dpo_tui.widgets.devices import bar, gibibytes, in_rows, pieces
from engine.process import ProcessId
from tests.waiting import until

GIB = 2**30


@pytest.fixture(autouse=True)
def fresh_driver() -> Iterator[None]:
    """Each test meets a machine whose driver nobody has asked for yet."""
    host._nvml.cache_clear()
    yield
    host._nvml.cache_clear()


class _NVMLError(Exception):
    """As the driver's library raises."""


def _driver(**changed: Any) -> SimpleNamespace:
    """The driver of a machine with two GPUs."""
    functions: dict[str, Any] = {
        "NVMLError": _NVMLError,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(used=68 * GIB, total=80 * GIB),
        "nvmlDeviceGetUtilizationRates": lambda _: SimpleNamespace(gpu=97),
    }
    return SimpleNamespace(**{**functions, **changed})


def _fail(*_: object) -> None:
    raise _NVMLError


def test_a_look_at_this_machine_finds_its_memory_and_this_process() -> None:
    load = look(ProcessId.own())
    assert 0 < load.used < load.total
    assert 0 <= load.cpu <= 1
    assert load.run is not None
    assert 1_000_000 < load.run < load.total


def test_the_memory_of_a_run_is_that_of_all_it_started() -> None:
    before = memory_of(ProcessId.own()) or 0
    grower = "import sys; room = bytearray(300_000_000); print('ready', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", grower], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert (memory_of(ProcessId.own()) or 0) - before > 250_000_000
    finally:
        process.kill()
        process.communicate()
    until(lambda: (memory_of(ProcessId.own()) or 0) - before < 250_000_000)


def test_a_pid_that_is_another_process_now_has_no_memory() -> None:
    assert memory_of(ProcessId(os.getpid(), -5.0)) is None
    assert look(ProcessId(os.getpid(), -5.0)).run is None


def test_gpus_are_told_by_their_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", _driver())
    assert gpus() == (Gpu(0, 68 * GIB, 80 * GIB, 0.97), Gpu(1, 68 * GIB, 80 * GIB, 0.97))


@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex"])
def test_a_driver_that_fails_means_no_gpu(monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", _driver(**{function: _fail}))
    assert gpus() == ()


def test_no_driver_means_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpus() == ()


def test_a_gpu_that_does_not_answer_is_left_out_and_one_that_tells_less_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def memory(index: int) -> Any:
        return _fail() if index == 0 else SimpleNamespace(used=GIB, total=80 * GIB)

    driver = _driver(nvmlDeviceGetMemoryInfo=memory, nvmlDeviceGetUtilizationRates=_fail)
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    assert gpus() == (Gpu(1, GIB, 80 * GIB, None),)


@pytest.mark.parametrize(
    ("share", "shown"), [(0, "░░░░"), (0.5, "██░░"), (1, "████"), (7.0, "████"), (-1, "░░░░")]
)
def test_a_bar_is_filled_by_the_share(share: float, shown: str) -> None:
    assert bar(share, 4) == shown


def test_sizes_are_short() -> None:
    assert gibibytes(int(9.1 * GIB), 24 * GIB) == "9.1/24"
    assert gibibytes(68 * GIB, 80 * GIB) == "68/80"
    assert gibibytes(300_000_000) == "0.3"


def test_pieces_that_do_not_fit_beside_each_other_stand_below() -> None:
    load = Load(
        0.38, 9 * GIB, 24 * GIB, 2 * GIB, tuple(Gpu(index, GIB, 80 * GIB, None) for index in range(8))
    )
    parts = list(pieces(load))
    assert len(parts) == 11
    rows = in_rows(parts, 80)
    assert max(Content(line).cell_length for line in rows.plain.split("\n")) <= 80
    assert rows.plain.count("GPU") == 8
    assert "\n" not in in_rows(parts, 1000).plain


@pytest.mark.parametrize(
    ("told", "name"), [(lambda _: b"NVIDIA H100", "NVIDIA H100"), (lambda _: "L4", "L4"), (_fail, "")]
)
def test_a_gpu_has_the_name_that_its_driver_tells(
    told: Callable[[int], Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", _driver(nvmlDeviceGetName=told))
    assert host.name_of(gpus()[0]) == name
