"""What an export writes down for whoever follows it: every stage, what came of it, and how it ended."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.__main__ import main as engine
from engine.exits import CannotWriteError, EnvironmentUnfitError, Exit, UsageError
from engine.export.command import answers_main, main
from engine.export.recording import recorded
from engine.rundir.events import EventWriter, read_events
from engine.rundir.paths import RunDir
from tests.engine.runs import of_type
from tests.engine.tiny_run import LORA, exported, tiny_run
from tests.waiting import until

Event = dict[str, Any]


@pytest.fixture
def run(tmp_path: Path, model: Path) -> RunDir:
    return tiny_run(tmp_path / "run", model)


def events(run: RunDir) -> list[Event]:
    return list(read_events(run.export_events))


def stages(run: RunDir) -> list[tuple[str, str]]:
    return [(event["stage"], event["state"]) for event in of_type(events(run), "stage")]


def both(*names: str) -> list[tuple[str, str]]:
    return [(name, state) for name in names for state in ("start", "end")]


def progress(run: RunDir, *more: str) -> list[str]:
    return [str(run.root), "--progress", str(run.export_events), *more]


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    """Exports begun; none outlives its test."""
    begun: list[subprocess.Popen[str]] = []
    yield begun
    for process in begun:
        process.kill()
        process.wait()


def begin(run: RunDir, processes: list[subprocess.Popen[str]], *more: str) -> subprocess.Popen[str]:
    """As the app does: in a session of its own."""
    argv = [sys.executable, "-P", "-m", "engine", "export", *progress(run, *more)]
    pipes: dict[str, Any] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "stdin": subprocess.DEVNULL,
    }
    process = subprocess.Popen(argv, text=True, start_new_session=True, **pipes)
    processes.append(process)
    return process


def test_proved_export_with_answers_is_told_stage_by_stage(
    run: RunDir, processes: list[subprocess.Popen[str]]
) -> None:
    run.export_events.write_text('{"type": "stage", "stage": "of an earlier export"}\n')
    process = begin(run, processes, "--answers", "2")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (Exit.DONE, f"{run.export_dir}\n"), err
    assert stages(run) == both("checkpoint", "policy", "write", "proof", "answers")
    told = events(run)
    assert [event["type"] for event in told[-5:]] == ["export", "stage", "stage", "answers", "end"]
    (export,) = of_type(told, "export")
    assert (export["path"], export["push"], export["reused"]) == (str(run.export_dir), None, False)
    assert export["bytes"] == sum(file.stat().st_size for file in run.export_dir.iterdir())
    assert export["proof"]["prompts"] == 3
    (answers,) = of_type(told, "answers")
    assert [answer.keys() for answer in answers["answers"]] == [{"question", "before", "after"}] * 2
    assert (told[-1]["exit_code"], told[-1]["code"]) == (0, "export.done")
    assert {event["v"] for event in told} == {1}


def test_upload_is_a_stage_and_what_it_finds_written_is_told(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.export.export.upload", lambda *_, **__: "")
    for reused in (False, True):
        assert main(progress(run, "--no-verify", "--push", "me/mine")) is Exit.DONE
        (export,) = of_type(events(run), "export")
        assert (export["push"], export["reused"], export["proof"]) == ("me/mine", reused, None)
        assert stages(run) == both("checkpoint", *([] if reused else ["policy", "write"]), "push")


def test_what_must_be_known_of_an_adapter_is_told(tmp_path: Path, model: Path) -> None:
    run = tiny_run(tmp_path / "run", model, LORA)
    main(progress(run, "--adapter", "--no-verify"))
    (warning,) = of_type(events(run), "warning")
    assert warning["code"] == "export.local_base"
    assert warning["params"]["base"] == model.name


def test_refusal_is_the_last_event(run: RunDir) -> None:
    with pytest.raises(UsageError):
        main(progress(run, "--checkpoint", "9"))
    assert [event["type"] for event in events(run)] == ["stage", "end"]
    end = events(run)[-1]
    assert (end["exit_code"], end["code"], end["params"]["run"]) == (2, "export.no_such_checkpoint", "run")


@pytest.mark.parametrize(
    ("failure", "code", "exit_code"),
    [
        (RuntimeError("odd"), "export.crashed", Exit.TRAINING_FAILED),
        (MemoryError(), "export.out_of_memory", Exit.TRAINING_FAILED),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "export.out_of_memory", 1),
        (EnvironmentUnfitError("export.proof_memory", "no"), "export.proof_memory", Exit.ENVIRONMENT),
        (KeyboardInterrupt(), "export.interrupted", Exit.INTERRUPTED),
        (PermissionError(13, "Permission denied", "/x"), "disk.cannot_write", Exit.CANNOT_WRITE),
    ],
)
def test_whatever_ends_it_is_the_last_event(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, failure: BaseException, code: str, exit_code: int
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr("engine.export.export.trained_policy", fail)
    with pytest.raises(type(failure)):
        main(progress(run))
    end = events(run)[-1]
    assert (end["type"], end["code"], end["exit_code"]) == ("end", code, exit_code)
    assert stages(run) == [*both("checkpoint"), ("policy", "start")]


def test_terminated_export_leaves_nothing_but_word_of_it(
    run: RunDir, processes: list[subprocess.Popen[str]]
) -> None:
    process = begin(run, processes)
    until(lambda: ("proof", "start") in stages(run), 120)
    process.terminate()
    assert process.wait(30) == Exit.INTERRUPTED
    assert (events(run)[-1]["exit_code"], events(run)[-1]["code"]) == (130, "export.interrupted")
    assert not run.export_dir.exists()
    assert not list(run.root.glob(".export*"))


def test_terminated_before_it_began_it_says_so_too(
    run: RunDir, processes: list[subprocess.Popen[str]]
) -> None:
    process = begin(run, processes)
    until(run.export_events.exists)
    process.terminate()
    assert process.wait(30) == Exit.INTERRUPTED
    assert [event["type"] for event in events(run)] == ["end"]


def test_signals_are_as_before_when_it_is_over(tmp_path: Path) -> None:
    def terminated(_events: EventWriter) -> Exit:
        os.kill(os.getpid(), signal.SIGTERM)
        return Exit.DONE

    before = signal.getsignal(signal.SIGTERM)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(KeyboardInterrupt):
        recorded(tmp_path / "events.jsonl", terminated)
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask


def test_export_without_answers_is_an_export(run: RunDir) -> None:
    for file in run.data_dir.iterdir():
        file.unlink()
    assert main(progress(run, "--no-verify", "--answers", "3")) is Exit.DONE
    (warning,) = of_type(events(run), "warning")
    assert warning["code"] == "export.no_answers"
    assert "no prepared pairs" in warning["params"]["problem"]
    assert events(run)[-1]["exit_code"] == 0


def test_answers_need_a_place_to_be_written(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(run.root), "--answers", "2"])
    assert caught.value.code == Exit.USAGE
    assert "--progress" in capsys.readouterr().err


def test_file_that_cannot_be_written_is_said_before_anything_is_done(run: RunDir, tmp_path: Path) -> None:
    with pytest.raises(CannotWriteError):
        main([str(run.root), "--progress", str(tmp_path / "nowhere" / "events.jsonl")])
    assert not run.export_dir.exists()


def test_answers_of_an_earlier_export(run: RunDir, tmp_path: Path) -> None:
    folder = exported(run)
    words = ["--progress", str(run.export_events), "--count", "1"]
    assert answers_main([str(run.root), str(folder), *words]) is Exit.DONE
    assert [event["type"] for event in events(run)] == ["stage", "stage", "answers", "end"]
    assert len(of_type(events(run), "answers")[0]["answers"]) == 1
    before = events(run)
    for file in run.data_dir.iterdir():
        file.unlink()
    assert answers_main([str(run.root), str(folder), *words]) is Exit.DONE
    assert events(run)[: len(before)] == before
    assert [event["type"] for event in events(run)[len(before) :]] == ["stage", "warning", "end"]
    assert of_type(events(run), "warning")[0]["code"] == "export.no_answers"
    assert events(run)[-1]["exit_code"] == 0
    assert engine(["answers", str(run.root), str(tmp_path), *words]) is Exit.USAGE
    assert (events(run)[-1]["exit_code"], events(run)[-1]["code"]) == (2, "answers.no_export")
