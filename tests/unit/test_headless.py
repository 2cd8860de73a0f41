"""Headless: a run from a config to its exit code, whatever happens to the process that started it."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dpo_tui.headless import attach, launch
from engine.config.load import load_config
from engine.exits import CannotWriteError, EngineError, Exit
from engine.launch.local import supervisor_command
from engine.process import is_alive
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.control import Control
from engine.rundir.events import effective_steps, read_events
from engine.rundir.paths import RunDir
from engine.rundir.status import read_record, read_status
from tests.fake_engine import SCRIPT, supervisor, write_config
from tests.waiting import until

STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    """A config; whatever was started from it is killed at the end of the test."""
    yield write_config(tmp_path)
    for process in STARTED:
        process.kill()
        process.communicate()
    STARTED.clear()
    for record in map(read_record, (tmp_path / "runs").glob("*/run.json")):
        if record is not None and record.pid != os.getpid() and record.supervisor.alive():
            os.kill(record.pid, signal.SIGKILL)


def _run(config: Path, name: str = "tiny") -> RunDir:
    return RunDir(config.parent / "runs" / name)


def _headless(config: Path, *options: str, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
    argv = [*SCRIPT, "headless", str(config), *options]
    process = subprocess.Popen(argv, stdout=stdout, stderr=subprocess.PIPE, text=True)
    STARTED.append(process)
    return process


def _steps(run: RunDir) -> int:
    return len(effective_steps(read_events(run.events)))


def _training(run: RunDir) -> int:
    """Wait for some steps; returns the pid of rank 0."""
    until(lambda: _steps(run) > 2)
    return int((run.root / "rank-0.pid").read_text())


def _final(run: RunDir) -> tuple[str, int | None]:
    status = until(lambda: (status := read_status(run.status_json)) and status.final and status)
    assert status
    return status.state, status.exit_code


def _fails(config: Path, match: str, **options: object) -> None:
    """Launching fails with exit code 2 and a text."""
    with pytest.raises(EngineError, match=match) as caught:
        launch(config, supervisor=supervisor(), **options)  # type: ignore[arg-type]
    assert caught.value.exit is Exit.USAGE


def _launch(config: Path, *behaviour: str, resume: bool = False, overrides: Sequence[str] = ()) -> Exit:
    return launch(config, supervisor=supervisor(*behaviour), resume=resume, overrides=overrides)


def test_a_piped_run_is_json_lines_on_stdout_and_talk_on_stderr(
    config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _launch(config, "--steps", "3") is Exit.DONE
    out, err = capfd.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert events == list(read_events(_run(config).events))
    assert [event["step"] for event in events if event["type"] == "step"] == [1, 2, 3]
    assert "tiny is done" in err
    assert str(_run(config).root) in err


def test_the_run_directory_is_private_and_its_config_is_complete(config: Path) -> None:
    _launch(config, "--steps", "1", overrides=["train.pairs_per_step=2"])
    run = _run(config)
    assert run.root.stat().st_mode & 0o777 == 0o700
    assert run.config.stat().st_mode & 0o777 == 0o600
    own = load_config(run.config).config
    assert (own.run.name, own.run.dir) == ("tiny", str(run.root.parent))
    assert own.train.pairs_per_step == 2
    assert "max_grad_norm" in run.config.read_text()


@pytest.mark.parametrize(
    ("code", "behaviour"), [(7, ["--non-finite-at", "2"]), (6, ["--fail-at", "2", "--code", "6"])]
)
def test_the_exit_code_is_the_runs_and_the_reason_is_on_stderr(
    config: Path, capfd: pytest.CaptureFixture[str], code: int, behaviour: list[str]
) -> None:
    assert _launch(config, *behaviour, "--say", "disk of \x1b]52;c;doom\x07") == code
    err = capfd.readouterr().err
    assert "tiny failed" in err
    assert "\x1b" not in err
    assert ("NaN" if code == 7 else "doom") in err


def test_a_supervisor_that_dies_is_a_failure_with_a_way_on(config: Path) -> None:
    process = _headless(config, "--endless")
    run = _run(config)
    rank = _training(run)
    record = read_record(run.run_json)
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "supervisor" in err
    assert "SIGKILL" in err
    until(lambda: not is_alive(rank, None), 5)


def test_a_supervisor_that_cannot_start_is_its_own_words(
    config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = launch(config, supervisor=lambda *_: ["/bin/sh", "-c", "echo no torch >&2; exit 8"])
    assert code is Exit.ENVIRONMENT
    assert "no torch" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_run_with_a_checkpoint(config: Path, number: signal.Signals) -> None:
    process = _headless(config, "--endless")
    rank = _training(_run(config))
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == Exit.STOPPED
    assert json.loads(out.splitlines()[-1])["type"] == "end"
    assert "stopping" in err
    assert "--resume" in err
    assert not is_alive(rank, None)
    assert CheckpointIndex(_run(config).checkpoints_dir).latest() is not None


def test_a_second_interrupt_kills_the_run_now(config: Path) -> None:
    process = _headless(config, "--endless", "--deaf")
    run = _run(config)
    rank = _training(run)
    process.send_signal(signal.SIGINT)
    until(lambda: (status := read_status(run.status_json)) and status.state == "stopping")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == Exit.INTERRUPTED
    assert not is_alive(rank, None)


def test_a_killed_owner_stops_the_run_with_a_checkpoint(config: Path) -> None:
    process = _headless(config, "--endless")
    run = _run(config)
    rank = _training(run)
    process.kill()
    process.wait()
    assert _final(run) == ("stopped", Exit.STOPPED)
    assert not is_alive(rank, None)
    assert CheckpointIndex(run.checkpoints_dir).newest_verified(lambda *_: None) is not None


def test_under_nohup_a_hangup_is_nothing(config: Path) -> None:
    process = subprocess.Popen(
        ["nohup", *SCRIPT, "headless", str(config), "--endless"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    STARTED.append(process)
    steps = _training(_run(config)) and _steps(_run(config))
    process.send_signal(signal.SIGHUP)
    until(lambda: _steps(_run(config)) > steps + 5)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == Exit.STOPPED


def test_a_reader_that_goes_away_does_not_end_the_training(config: Path) -> None:
    reading, writing = os.pipe()
    process = _headless(config, "--steps", "60", stdout=writing)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    process.communicate(timeout=30)
    assert process.returncode == Exit.DONE
    assert _steps(_run(config)) == 60


def test_a_detached_run_prints_its_name_and_goes_on(config: Path) -> None:
    process = _headless(config, "--detach", "--endless")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "tiny\n")
    assert "attach" in err
    run = _run(config)
    steps = _training(run) and _steps(run)
    until(lambda: _steps(run) > steps)
    Control(run.control_dir).request_stop()
    assert _final(run) == ("stopped", Exit.STOPPED)


def test_attaching_shows_the_run_from_its_start_to_its_end(
    config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _headless(config, "--detach", "--steps", "100").wait(30)
    run = _run(config)
    until(lambda: _steps(run) > 2)
    assert attach(run.root) is Exit.DONE
    out, err = capfd.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["step"] for event in events if event["type"] == "step"] == list(range(1, 101))
    assert "tiny is done" in err


def test_attaching_to_a_finished_run_gives_its_exit_code(
    config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _launch(config, "--non-finite-at", "2")
    capfd.readouterr()
    for asked in (False, True):
        assert attach(_run(config).root, json=asked) is Exit.NON_FINITE
        out, err = capfd.readouterr()
        assert "NaN" in err
        assert [json.loads(line) for line in out.splitlines()] == list(read_events(_run(config).events))


def test_leaving_an_attached_run_leaves_it_alone(
    config: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _headless(config, "--detach", "--endless").wait(30)
    run = _run(config)
    _training(run)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dpo_tui.headless.time.sleep", interrupt)
        assert attach(run.root) is Exit.INTERRUPTED
    assert "come back with: dpo-tui attach" in capfd.readouterr().err
    steps = _steps(run)
    until(lambda: _steps(run) > steps)


def test_a_stopped_run_goes_on_from_its_checkpoint(config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    process = _headless(config, "--endless", "--steps", "900")
    _training(_run(config))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    saved = CheckpointIndex(_run(config).checkpoints_dir).latest() or 0
    capfd.readouterr()
    assert _launch(config, "--steps", str(saved + 3), resume=True) is Exit.DONE
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert events[0]["type"] == "resume"
    assert [event["step"] for event in events if event["type"] == "step"] == [saved + 1, saved + 2, saved + 3]


def test_a_run_resumes_from_its_own_config_wherever_it_was_moved(config: Path, tmp_path: Path) -> None:
    _launch(config, "--fail-at", "2")
    moved = tmp_path / "elsewhere" / "renamed"
    moved.parent.mkdir()
    _run(config).root.rename(moved)
    assert _launch(moved / "config.toml", resume=True) is Exit.DONE
    status = read_status(RunDir(moved).status_json)
    assert status is not None
    assert status.state == "done"
    assert not _run(config).root.exists()


def test_a_finished_run_is_not_trained_again(config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _launch(config, "--steps", "2")
    before = _run(config).events.read_bytes()
    capfd.readouterr()
    assert _launch(config, resume=True) is Exit.DONE
    assert _run(config).events.read_bytes() == before
    out, err = capfd.readouterr()
    assert "tiny is done" in err
    assert [json.loads(line) for line in out.splitlines()] == list(read_events(_run(config).events))


def test_an_existing_run_is_not_overwritten(config: Path) -> None:
    _launch(config, "--fail-at", "1")
    _fails(config, "exists already.*--resume.*--run")
    _fails(_run(config).config, "exists already")
    (config.parent / "runs" / "foreign").mkdir()
    (config.parent / "runs" / "foreign" / "notes").touch()
    _fails(config, "exists already", run_name="foreign")


def test_a_live_run_is_not_started_again(config: Path) -> None:
    process = _headless(config, "--endless")
    _training(_run(config))
    _fails(config, "is running.*attach")
    _fails(config, "is running.*attach", resume=True)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


def test_what_never_started_cannot_be_resumed(config: Path) -> None:
    _fails(config, "no run tiny.*without --resume", resume=True)
    assert not (config.parent / "runs").exists()


def test_a_changed_config_is_refused_with_the_differences_named(config: Path) -> None:
    _launch(config, "--fail-at", "1")
    _fails(config, r"objective\.beta: 0\.1.*0\.5", resume=True, overrides=["objective.beta=0.5"])
    config.rename(config.with_name("other.toml"))
    other = config.with_name("other.toml")
    assert launch(other, run_name="tiny", resume=True, supervisor=supervisor()) is Exit.DONE


def test_a_run_takes_its_name_from_the_option_the_config_or_the_file(config: Path, tmp_path: Path) -> None:
    odd = config.rename(config.with_name("My first Düne!.toml"))
    for options, name in (
        ({}, "My-first-D-ne"),
        ({"overrides": ["run.name='named'"]}, "named"),
        ({"overrides": ["run.name='named'"], "run_name": "given"}, "given"),
    ):
        assert launch(odd, supervisor=supervisor("--steps", "1"), **options) is Exit.DONE
        assert _run(odd, name).config.is_file()
    assert launch(odd, runs_dir=tmp_path / "here", supervisor=supervisor("--steps", "1")) is Exit.DONE
    assert (tmp_path / "here" / "My-first-D-ne").is_dir()


@pytest.mark.parametrize("name", ["../x", "/tmp/x", ".", "", "a b", "a" * 300, "-x", "x\n"])
def test_a_name_that_is_none_is_refused(config: Path, name: str) -> None:
    _fails(config, "name", run_name=name)


def test_a_dry_run_prints_a_config_that_loads_and_writes_nothing(
    config: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert launch(config, dry_run=True, overrides=["objective.beta=0.25"]) is Exit.DONE
    out = capfd.readouterr().out
    assert f"# run directory: {_run(config).root}" in out
    assert "-m engine run" in out
    assert "# rank 0: " in out
    assert os.listdir(tmp_path) == ["tiny.toml"]
    printed = tmp_path / "printed.toml"
    printed.write_text(out)
    assert load_config(printed).config.objective.beta == 0.25
    assert load_config(printed).config.run.name == "tiny"


def test_a_runs_directory_that_cannot_be_made_is_named(config: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWriteError, match="file/tiny: cannot write"):
        launch(config, runs_dir=tmp_path / "file", supervisor=supervisor())


def test_the_supervisor_of_a_real_run_is_the_engine(config: Path) -> None:
    argv = supervisor_command(_run(config), None)
    assert argv[1:] == ["-P", "-m", "engine", "run", str(_run(config).root)]
