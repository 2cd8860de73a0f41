"""A token in the environment leaves it for nobody: no file, no argument list, no line of output."""

import os
import subprocess
import sys
from pathlib import Path

from engine.exits import Exit
from engine.process import start_time
from tests.bad_input.command import Command, refused
from tests.waiting import until

CANARY = "hf_CanaryThatMustNotBeSeenAnywhere12"
PARTS = (CANARY.encode(), CANARY[:16].encode(), CANARY[-16:].encode())


def arguments_of(directory: Path) -> dict[int, bytes]:
    """The argument lists of all processes that name `directory`."""
    found = {}
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes()
        except OSError:
            continue
        if str(directory).encode() in line:
            found[int(process.parent.name)] = line
    return found


def test_a_token_in_the_environment_is_nowhere_after_a_run(config: Path, tmp_path: Path) -> None:
    settings = ["--set=train.max_steps=2", "--set=export.verify=false"]
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "dpo_tui", "--headless", str(config), *settings],
        env={
            **os.environ,
            "HF_TOKEN": CANARY,
            "HUGGING_FACE_HUB_TOKEN": CANARY,
            "XDG_CACHE_HOME": str(tmp_path),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    seen: dict[int, bytes] = {}

    def ended() -> bool:
        seen.update(arguments_of(tmp_path))
        return start_time(process.pid) is None

    until(ended, 120)
    out, err = process.communicate()
    assert process.returncode == Exit.DONE, err.decode()
    assert len(seen) >= 3  # the command, the supervisor, the rank
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert tmp_path / "runs" / "tiny" / "export" / "README.md" in files
    leaks = [where for where, data in [*files.items(), *seen.items(), ("out", out), ("err", err)]
             if any(part in data for part in PARTS)]  # fmt: skip
    assert leaks == []


def test_a_token_in_a_config_is_refused_and_not_repeated(dpo_tui: Command, config: Path) -> None:
    text = config.read_text()
    for line in (f'note = "{CANARY}"', f"# {CANARY}", f'"{CANARY}" = 1'):
        config.write_text(text.replace("[run]\n", f"[run]\n{line}\n"))
        outcome = dpo_tui("--headless", config)
        refused(outcome, Exit.USAGE, "tiny.toml:3: ", "looks like a Hugging Face token")
        assert CANARY not in outcome.err


def test_a_token_as_an_argument_is_refused_and_not_repeated(dpo_tui: Command, config: Path) -> None:
    for setting in (f"export.push={CANARY}", f"model.id={CANARY}", f"{CANARY}=1", f"run.name={CANARY}"):
        outcome = dpo_tui("--headless", config, "--set", setting)
        assert outcome.code == Exit.USAGE
        assert CANARY not in outcome.err
