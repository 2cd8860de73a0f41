"""The command line as a shell sees it: exit codes, what goes to stdout, and never a traceback."""

import json
import os
import pty
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dpo_tui import cli
from engine.exits import CannotWriteError, Exit, UsageError
from engine.shipped import template_names

Result = subprocess.CompletedProcess[str]


def dpo_tui(*arguments: str, cwd: Path, **options: Any) -> Result:
    """`dpo-tui` as its own process, without a terminal."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "dpo_tui", *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def refused(result: Result, *expected: str) -> None:
    assert result.returncode == Exit.USAGE, result
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for text in expected:
        assert text in result.stderr


def test_help_names_every_command_and_option(tmp_path: Path) -> None:
    result = dpo_tui("--help", cwd=tmp_path)
    assert result.returncode == 0
    options = [
        "--headless",
        "--run",
        "--runs",
        "--set",
        "--json",
        "--dry-run",
        "--resume",
        "--detach",
        "--lang",
        "--version",
    ]
    verbs = ["templates", "new", "validate", "schema", "data", "runs", "attach", "stop", "export", "import"]
    assert all(re.search(rf"^ +{word}\b", result.stdout, re.MULTILINE) for word in options + verbs)


def test_version_is_data_on_stdout(tmp_path: Path) -> None:
    result = dpo_tui("--version", cwd=tmp_path)
    assert re.fullmatch(r"dpo-tui \d+\.\d+\.\d+\n", result.stdout)


def test_without_a_terminal_it_says_to_use_headless(tmp_path: Path) -> None:
    refused(dpo_tui(cwd=tmp_path), "This is no terminal", "dpo-tui --headless CONFIG")


@pytest.mark.parametrize("terminal", ["dumb", "xterm-256color"], ids=["dumb", "stderr elsewhere"])
def test_a_terminal_that_cannot_show_screens_is_told_what_works(terminal: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        process = subprocess.run(
            [sys.executable, "-P", "-m", "dpo_tui"], env={**os.environ, "TERM": terminal},
            cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == Exit.USAGE
    assert "dpo-tui --headless CONFIG" in process.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--json"], "--json needs --headless CONFIG."),
        (["--set", "a.b=1"], "--set needs --headless CONFIG."),
        (["--json", "runs"], "Options of `runs` come after it."),
        (["--headless", "c.toml", "runs"], "--headless and runs do not go together"),
        (["valdate", "c.toml"], "Did you mean 'validate'?"),
        (["--heedless", "c.toml"], "No such option: --heedless"),
        (["validate"], "Missing argument 'CONFIG'"),
        (["validate", "none.toml"], "none.toml: no such file"),
        (["templates", "cat", "quikstart"], "Did you mean 'quickstart'?"),
        (["export", "n", "--checkpoint", "foo"], "--checkpoint foo: expected latest, best or a step"),
        (["export", "n", "--public"], "--public needs --push REPO"),
        (["--headless", "c.toml", "--dry-run", "--json"], "leave out --json"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(
    tmp_path: Path, arguments: list[str], expected: str
) -> None:
    refused(dpo_tui(*arguments, cwd=tmp_path), expected)


def test_templates_are_listed_shown_and_copied(tmp_path: Path) -> None:
    listed = dpo_tui("templates", "ls", cwd=tmp_path)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == template_names()
    shown = dpo_tui("templates", "cat", "lora", cwd=tmp_path)
    assert tomllib.loads(shown.stdout)["model"]["lora"]["rank"] == 16
    copied = dpo_tui("templates", "cp", "lora", cwd=tmp_path)
    assert (copied.stdout, copied.returncode) == ("lora.toml\n", 0)
    assert (tmp_path / "lora.toml").read_text(encoding="utf-8") == shown.stdout
    refused(dpo_tui("templates", "cp", "lora", cwd=tmp_path), "lora.toml exists and is not overwritten")


def test_validate_tells_all_problems_on_stderr(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[model]\nidd = 1\n[train]\nepochs = 0\n", encoding="utf-8")
    result = dpo_tui("validate", "c.toml", "--set", "run.seed=x", cwd=tmp_path)
    refused(result, "c.toml:2: model.idd: unknown key. Did you mean 'id'?", "c.toml:4: train.epochs: must be")
    assert "--set run.seed=x: expected a whole number, found 'x'\n" in result.stderr


def test_validate_of_a_good_config_is_silent_on_stdout(tmp_path: Path) -> None:
    dpo_tui("templates", "cp", "quickstart", "my.toml", cwd=tmp_path)
    result = dpo_tui("validate", "my.toml", "--set", "train.epochs=2", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "my.toml: no problems found\n")


def test_the_schema_is_json_on_stdout(tmp_path: Path) -> None:
    assert json.loads(dpo_tui("schema", cwd=tmp_path).stdout)["title"] == "dpo-tui config"


def test_names_cannot_steer_the_terminal(tmp_path: Path) -> None:
    for arguments in (["validate", "\x1b]0;x\x07.toml"], ["templates", "cat", "\x1b[2J"], ["\x1b[2J"]):
        result = dpo_tui(*arguments, cwd=tmp_path)
        assert result.returncode == Exit.USAGE
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", result.stderr)


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "dpo_tui", "schema"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait()


@pytest.mark.parametrize("line", ["schema", "templates ls", "templates cat lora", "runs --json"])
def test_a_full_stdout_is_one_line_and_its_exit_code(tmp_path: Path, line: str) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        result = subprocess.run(
            [sys.executable, "-P", "-m", "dpo_tui", *line.split()],
            cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert (result.returncode, result.stderr) == (6, "dpo-tui: No space left on device\n")


def test_a_directory_that_nobody_can_make_is_one_line(tmp_path: Path) -> None:
    dpo_tui("templates", "cp", "quickstart", "c.toml", cwd=tmp_path)
    result = dpo_tui("--headless", "c.toml", "--runs", "/proc/x", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (6, "")
    assert result.stderr == "/proc/x/quickstart: cannot write: no such directory\n"


def test_a_deleted_current_directory_is_one_line(tmp_path: Path) -> None:
    code = (
        "import os, sys; os.mkdir('d'); os.chdir('d'); os.rmdir('../d');"
        "from dpo_tui.cli import main; main(['runs'])"
    )
    result = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    refused(result, "the current directory cannot be used")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("error", [UsageError, CannotWriteError])
def test_an_error_of_the_engine_is_its_text_and_its_exit_code(
    error: type[UsageError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> str:
        raise error("x.y", "what to do\x1b[2J")

    monkeypatch.setattr("engine.config.jsonschema.schema_text", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main(["schema"])
    assert ended.value.code == error.exit
    assert capsys.readouterr().err == "what to do\\x1b[2J\n"


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.config.jsonschema.schema_text", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main(["schema"])
    assert ended.value.code == Exit.INTERRUPTED


Calls = list[tuple[Any, dict[str, Any]]]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What the commands hand on, in place of the engine and of what follows runs."""
    calls: Calls = []

    def record(*arguments: Any, **options: Any) -> Exit:
        calls.append((arguments, options))
        return Exit.STOPPED

    for name in (
        "dpo_tui.headless.launch",
        "dpo_tui.headless.attach",
        "dpo_tui.runs.show",
        "dpo_tui.stopping.stop",
    ):
        monkeypatch.setattr(name, record)
    monkeypatch.setattr("dpo_tui.runs.find", lambda run, runs_dir: (runs_dir or Path("runs")) / run)
    monkeypatch.setattr("dpo_tui.engine_verbs.become_engine", lambda *arguments: record(*arguments))
    return calls


@pytest.mark.parametrize(
    ("line", "arguments", "options"),
    [
        (
            "--headless c.toml",
            (Path("c.toml"),),
            {"run_name": None, "runs_dir": None, "overrides": (), "json": False, "dry_run": False,
             "resume": False, "detach": False},
        ),
        (
            "--headless c.toml --run n --runs d --set a.b=1 --set c.d=x=y --json --dry-run --resume --detach",
            (Path("c.toml"),),
            {"run_name": "n", "runs_dir": Path("d"), "overrides": ["a.b=1", "c.d=x=y"], "json": True,
             "dry_run": True, "resume": True, "detach": True},
        ),
        ("runs", (None,), {"json": False}),
        ("--runs d runs --json", (Path("d"),), {"json": True}),
        ("runs --runs e", (Path("e"),), {"json": False}),
        ("attach n --json", (Path("runs/n"),), {"json": True}),
        ("stop n --wait --runs d", (Path("d/n"),), {"wait": True}),
    ],
)  # fmt: skip
def test_options_arrive_where_the_work_is(
    line: str, arguments: tuple[Any, ...], options: dict[str, Any], called: Calls
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(line.split())
    assert ended.value.code == Exit.STOPPED
    assert called == [(arguments, options)]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("data c.toml", "data -- c.toml"),
        (
            "data pairs.jsonl --json --set data.max_length=8",
            "data --json --set=data.max_length=8 -- pairs.jsonl",
        ),
        ("data pairs.jsonl --model m.gguf", "data --model=m.gguf -- pairs.jsonl"),
        ("export n --no-adapter", "export --no-adapter -- runs/n"),
        ("export n", "export -- runs/n"),
        (
            "--runs d export n --checkpoint 30 --to out --dtype float16 --adapter --push a/b --public",
            "export --checkpoint=30 --to=out --dtype=float16 --push=a/b --adapter --public -- d/n",
        ),
    ],
)
def test_what_needs_torch_is_handed_to_the_engine(line: str, command: str, called: Calls) -> None:
    with pytest.raises(SystemExit):
        cli.main(line.split())
    assert called == [(tuple(command.split()), {})]


def test_the_engine_s_exit_code_is_the_command_s(tmp_path: Path) -> None:
    script = "from dpo_tui.engine_verbs import become_engine; become_engine('no-such-verb')"
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == Exit.USAGE
    assert result.stderr.startswith("usage: python -m engine")
