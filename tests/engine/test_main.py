"""The engine's own command line: every end is one line and an exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.__main__ import main
from engine.exits import Exit
from tests.engine.runs import write_pairs
from tests.engine.tiny_folder import write_folder
from tests.engine.tiny_run import LORA, tiny_run


def engine(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-P", "-m", "engine", *map(str, arguments)]
    return subprocess.run(argv, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload,no-any-return]


def test_a_full_disk_behind_stdout_is_one_line(tmp_path: Path) -> None:
    model, pairs = write_folder(tmp_path / "model"), write_pairs(tmp_path / "pairs.jsonl")
    with open("/dev/full", "w") as full:
        done = engine("data", pairs, "--model", model, stdout=full)
    assert (done.returncode, done.stderr) == (Exit.CANNOT_WRITE, "output: No space left on device\n")


def test_a_working_directory_that_is_gone_is_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    argv = [sys.executable, "-P", "-m", "engine", "data", "pairs.jsonl"]
    done = subprocess.run(
        ["/bin/sh", "-c", 'rmdir "$PWD" && exec "$@"', "sh", *argv], cwd=gone, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr.count("\n")) == (Exit.USAGE, 1)
    assert "working directory" in done.stderr


def test_an_error_of_the_system_is_one_clean_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> Exit:
        raise OSError(5, "Input/output error", "a\x1b[2Jb")

    monkeypatch.setattr("engine.__main__._carry_out", fail)
    monkeypatch.setattr("engine.__main__._drop_output", lambda: None)
    assert main(["data", "x"]) is Exit.CANNOT_WRITE
    assert capsys.readouterr().err == "a\\x1b[2Jb: Input/output error\n"


@pytest.mark.parametrize("adapter", [False, True])
def test_an_export_says_nothing_of_what_libraries_lack(adapter: bool, tmp_path: Path) -> None:
    run = tiny_run(tmp_path / "run", write_folder(tmp_path / "model"), LORA if adapter else "")
    done = engine("export", run.root, "--no-verify", stdout=subprocess.PIPE)
    assert done.returncode == Exit.DONE, done.stderr
    assert all(line.startswith(("note: ", "not verified")) for line in done.stderr.splitlines()), done.stderr
