"""Headless, before it runs: resuming, names, a dry run, and what is refused."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from dpo_tui import dry_run, engine_answer
from dpo_tui.headless import launch
from engine.config.load import load_config
from engine.exits import CannotWriteError, EngineError, Exit
from engine.launch.local import supervisor_command
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import read_events
from engine.rundir.paths import RunDir
from engine.rundir.status import read_status
from tests.fake_engine import supervisor
from tests.unit.headless_runs import launch_with, run_of, start_headless, wait_for_steps


def _fails(config: Path, match: str, **options: object) -> None:
    """Launching fails with exit code 2 and a text."""
    with pytest.raises(EngineError, match=match) as caught:
        launch(config, supervisor=supervisor(), **options)  # type: ignore[arg-type]
    assert caught.value.exit is Exit.USAGE


def test_a_stopped_run_goes_on_from_its_checkpoint(
    tiny_config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    process = start_headless(tiny_config, "--endless", "--steps", "900")
    wait_for_steps(run_of(tiny_config))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    saved = CheckpointIndex(run_of(tiny_config).checkpoints_dir).latest() or 0
    capfd.readouterr()
    assert launch_with(tiny_config, "--steps", str(saved + 3), resume=True) is Exit.DONE
    events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert events[0]["type"] == "resume"
    assert [event["step"] for event in events if event["type"] == "step"] == [saved + 1, saved + 2, saved + 3]


def test_a_run_resumes_from_its_own_config_wherever_it_was_moved(tiny_config: Path, tmp_path: Path) -> None:
    launch_with(tiny_config, "--fail-at", "2")
    moved = tmp_path / "elsewhere" / "renamed"
    moved.parent.mkdir()
    run_of(tiny_config).root.rename(moved)
    assert launch_with(moved / "config.toml", resume=True) is Exit.DONE
    status = read_status(RunDir(moved).status_json)
    assert status is not None
    assert status.state == "done"
    assert not run_of(tiny_config).root.exists()


def test_a_finished_run_is_not_trained_again(tiny_config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    launch_with(tiny_config, "--steps", "2")
    before = run_of(tiny_config).events.read_bytes()
    capfd.readouterr()
    assert launch_with(tiny_config, resume=True) is Exit.DONE
    assert run_of(tiny_config).events.read_bytes() == before
    out, err = capfd.readouterr()
    assert "tiny is done" in err
    assert [json.loads(line) for line in out.splitlines()] == list(read_events(run_of(tiny_config).events))


def test_an_existing_run_is_not_overwritten(tiny_config: Path) -> None:
    launch_with(tiny_config, "--fail-at", "1")
    _fails(tiny_config, "exists already.*--resume.*--run")
    _fails(run_of(tiny_config).config, "exists already")
    (tiny_config.parent / "runs" / "foreign").mkdir()
    (tiny_config.parent / "runs" / "foreign" / "notes").touch()
    _fails(tiny_config, "exists already", run_name="foreign")


def test_a_live_run_is_not_started_again(tiny_config: Path) -> None:
    process = start_headless(tiny_config, "--endless")
    wait_for_steps(run_of(tiny_config))
    _fails(tiny_config, "is running.*attach")
    _fails(tiny_config, "is running.*attach", resume=True)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)


def test_what_never_started_cannot_be_resumed(tiny_config: Path) -> None:
    _fails(tiny_config, "no run tiny.*without --resume", resume=True)
    assert not (tiny_config.parent / "runs").exists()


def test_a_changed_config_is_refused_with_the_differences_named(tiny_config: Path) -> None:
    launch_with(tiny_config, "--fail-at", "1")
    _fails(tiny_config, r"objective\.beta: 0\.1.*0\.5", resume=True, overrides=["objective.beta=0.5"])
    tiny_config.rename(tiny_config.with_name("other.toml"))
    other = tiny_config.with_name("other.toml")
    assert launch(other, run_name="tiny", resume=True, supervisor=supervisor()) is Exit.DONE


def test_other_devices_are_no_changed_config_and_are_written_down(tiny_config: Path) -> None:
    launch_with(tiny_config, "--fail-at", "1")
    run, before = run_of(tiny_config), load_config(run_of(tiny_config).config).config
    given = ["launch.strategy='ddp'"]
    assert launch(tiny_config, resume=True, overrides=given, supervisor=supervisor()) is Exit.DONE
    after = load_config(run.config).config
    assert after.launch.strategy == "ddp"
    assert after.model_copy(update={"launch": before.launch}) == before


def test_a_run_takes_its_name_from_the_option_the_config_or_the_file(
    tiny_config: Path, tmp_path: Path
) -> None:
    odd = tiny_config.rename(tiny_config.with_name("My first Düne!.toml"))
    for options, name in (
        ({}, "My-first-D-ne"),
        ({"overrides": ["run.name='named'"]}, "named"),
        ({"overrides": ["run.name='named'"], "run_name": "given"}, "given"),
    ):
        assert launch(odd, supervisor=supervisor("--steps", "1"), **options) is Exit.DONE
        assert run_of(odd, name).config.is_file()
    assert launch(odd, runs_dir=tmp_path / "here", supervisor=supervisor("--steps", "1")) is Exit.DONE
    assert (tmp_path / "here" / "My-first-D-ne").is_dir()


@pytest.mark.parametrize("name", ["../x", "/tmp/x", ".", "", "a b", "a" * 300, "-x", "x\n"])
def test_a_name_that_is_none_is_refused(tiny_config: Path, name: str) -> None:
    _fails(tiny_config, "name", run_name=name)


def test_a_dry_run_prints_a_config_that_loads_and_writes_nothing(
    tiny_config: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert launch(tiny_config, dry_run=True, overrides=["objective.beta=0.25"]) is Exit.DONE
    out, err = capfd.readouterr()
    assert err == ""
    assert [line for line in out.splitlines() if line.startswith("# memory: ") and "activations" in line]
    assert f"# run directory: {run_of(tiny_config).root}" in out
    assert "-m engine run" in out
    assert "# rank 0: " in out
    assert os.listdir(tmp_path) == ["tiny.toml"]
    printed = tmp_path / "printed.toml"
    printed.write_text(out)
    assert load_config(printed).config.objective.beta == 0.25
    assert load_config(printed).config.run.name == "tiny"


@pytest.mark.parametrize(
    ("engine", "why"),
    [
        ("import sys; print('loading …\\nno such model', file=sys.stderr); sys.exit(3)", "no such model"),
        ("import os; os.kill(os.getpid(), 9)", "the engine ended with exit code -9"),
        ("import signal; signal.pause()", "no answer within 0.5 s"),
    ],
)
def test_a_dry_run_says_why_the_memory_cannot_be_told(
    engine: str,
    why: str,
    tiny_config: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_answer, "ENGINE", (sys.executable, "-c", engine))
    monkeypatch.setattr(dry_run, "PATIENCE", 60.0 if "exit" in why or "model" in why else 0.5)
    assert launch(tiny_config, dry_run=True) is Exit.DONE
    out, err = capfd.readouterr()
    assert err == ""
    assert f"# memory: it cannot be told: {why}\n" in out
    tiny_config.write_text(out)
    load_config(tiny_config)


def test_a_runs_directory_that_cannot_be_made_is_named(tiny_config: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWriteError, match="file/tiny: cannot write"):
        launch(tiny_config, runs_dir=tmp_path / "file", supervisor=supervisor())


def test_the_supervisor_of_a_real_run_is_the_engine(tiny_config: Path) -> None:
    argv = supervisor_command(run_of(tiny_config), None)
    assert argv[1:] == ["-P", "-m", "engine", "run", str(run_of(tiny_config).root)]
