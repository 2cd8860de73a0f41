"""The app as a process in a terminal: it starts, it gives the terminal back however it ends, and runs outlive it."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpo_tui.runs import effective_state
from engine.rundir.control import Control
from engine.rundir.paths import RunDir
from engine.rundir.status import read_record
from tests.fake_engine import write_config
from tests.tui.terminal import ENTERED, LEFT, Terminal
from tests.waiting import until

ROOT = Path(__file__).parents[2]

FAKE = """
import sys
from pathlib import Path
from dpo_tui.app import DpoApp
from dpo_tui.start_app import speak
from tests.fake_engine import supervisor
speak(None)
app = DpoApp(Path(sys.argv[1]), config=Path(sys.argv[2]), supervisor=supervisor("--endless", "--pause", "0.02"))
app.run()
for farewell in app.farewells:
    print(farewell.text())
sys.exit(app.return_value if app.return_value is not None else app.return_code)
"""
"""The real app, whose runs are trained by the engine of the tests."""


@pytest.fixture
def started(quiet_home: Path) -> Iterator[tuple[Terminal, RunDir]]:
    """The app with a run that was started from its wizard; both end with the test."""
    config = write_config(quiet_home)
    runs = quiet_home / "runs"
    env = {"PYTHONPATH": str(ROOT)}
    run = RunDir(runs / "tiny")
    with Terminal([str(runs), str(config)], cwd=quiet_home, env=env, script=("-c", FAKE)) as terminal:
        terminal.wait_for("tiny")
        terminal.press("ctrl+n", "ctrl+n", "ctrl+n", "ctrl+n")
        until(lambda: "Start" in terminal.text())
        terminal.press("enter")
        until(lambda: bool(terminal.text()) and effective_state(run).state == "running")
        yield terminal, run
    record = read_record(run.run_json)
    if record is not None and record.supervisor.alive():
        os.kill(record.pid, signal.SIGKILL)


def restored(terminal: Terminal) -> bool:
    """Whether the terminal was told to leave the alternate screen and the mouse, after it was told to take them."""
    return all(
        terminal.raw.rfind(left) > terminal.raw.rfind(entered) >= 0
        for entered, left in zip(ENTERED, LEFT, strict=True)
    )


def goes_on(run: RunDir) -> bool:
    """Whether the run trains on: its step grows."""
    step = effective_state(run).step
    until(lambda: effective_state(run).step > step)
    return effective_state(run).state == "running"


def test_the_first_screen_of_a_first_start_says_what_to_press_and_is_left_by_a_key(quiet_home: Path) -> None:
    with Terminal(cwd=quiet_home, size=(80, 24)) as terminal:
        terminal.wait_for("dpo-tui")
        until(lambda: "New run" in terminal.text())
        terminal.press("ctrl+q")
        assert terminal.ended() == 0
        assert restored(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_app_gives_the_terminal_back_and_leaves_the_run(
    number: signal.Signals, started: tuple[Terminal, RunDir]
) -> None:
    terminal, run = started
    terminal.send(number)
    assert terminal.ended() == 128 + number
    assert restored(terminal)
    assert goes_on(run)


def test_a_killed_app_leaves_the_run(started: tuple[Terminal, RunDir]) -> None:
    terminal, run = started
    terminal.send(signal.SIGKILL)
    assert terminal.ended() == -signal.SIGKILL
    assert goes_on(run)


def test_a_terminal_that_is_closed_ends_the_app_and_leaves_the_run(started: tuple[Terminal, RunDir]) -> None:
    terminal, run = started
    terminal.hang_up()
    until(lambda: terminal.process.poll() is not None)
    assert goes_on(run)


def test_leaving_asks_and_detaching_is_the_default(started: tuple[Terminal, RunDir]) -> None:
    terminal, run = started
    terminal.press("ctrl+q")
    terminal.wait_for("is still training", "Detach", "Stop it after a checkpoint", "Stay here")
    terminal.press("enter")
    assert terminal.ended() == 0
    assert f"dpo-tui attach {run.root}" in terminal.text().replace("\n", "")
    assert goes_on(run)


def test_leaving_can_stop_the_run_after_a_checkpoint(started: tuple[Terminal, RunDir]) -> None:
    terminal, run = started
    terminal.press("ctrl+q")
    terminal.wait_for("Stop it after a checkpoint")
    terminal.press("down", "enter")
    assert terminal.ended() == 0
    until(lambda: effective_state(run).state == "stopped")


def test_another_terminal_shows_the_run_that_the_first_one_left(started: tuple[Terminal, RunDir]) -> None:
    terminal, run = started
    terminal.send(signal.SIGKILL)
    terminal.ended()
    with Terminal(["attach", str(run.root)], cwd=Path("/")) as second:
        text = second.wait_for("tiny", "training", "loss")
        second.until(lambda now: now != text)
        Control(run.control_dir).request_stop()
        second.wait_for("stopped")
        second.press("ctrl+q")
        assert second.ended() == 0


def test_the_process_of_the_app_maps_no_heavy_library(started: tuple[Terminal, RunDir]) -> None:
    terminal, _ = started
    mapped = Path(f"/proc/{terminal.process.pid}/maps").read_text()
    assert "libpython" in mapped or sys.executable.split("/")[-1] in mapped or "python" in mapped
    assert not [name for name in ("libtorch", "tokenizers", "pyarrow", "deepspeed") if name in mapped]
