"""Where a run may not go: names that are paths, places that are taken, runs that somebody is training."""

import os
from pathlib import Path

import pytest

from engine.exits import Exit
from engine.process import ProcessId
from engine.rundir.lock import RunLock
from engine.rundir.paths import RunDir
from engine.rundir.status import RunRecord, write_record
from tests.bad_input.command import Command, refused

NAMES = [
    "a/b",
    "..",
    ".",
    "../x",
    "/tmp/x",
    "-x",
    "--",
    ".hidden",
    "",
    " ",
    "a b",
    "x" * 300,
    "x\n",
    "é",
    "\u202e",
    "\udcff",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_name_is_refused(dpo_tui: Command, config: Path, tmp_path: Path, name: str) -> None:
    before = sorted(os.listdir(tmp_path))
    refused(dpo_tui("--headless", config, f"--run={name}"), Exit.USAGE, "a run's name is letters, digits")
    outcome = dpo_tui("--headless", config, "--set", f"run.name='{name}'")
    refused(outcome, Exit.USAGE, "run.name=")
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("line", ['name = "../x"', 'name = "/tmp/x"', f'name = "{"x" * 300}"', 'name = ""'])
def test_a_name_in_the_file_that_is_no_name_is_refused_at_its_line(
    dpo_tui: Command, config: Path, line: str
) -> None:
    config.write_text(config.read_text().replace('name = "tiny"', line))
    refused(dpo_tui("--headless", config), Exit.USAGE, "tiny.toml:3: run.name: expected letters, digits")


def test_a_file_whose_name_gives_no_run_a_name_asks_for_one(dpo_tui: Command, config: Path) -> None:
    config.write_text(config.read_text().replace('name = "tiny"\n', ""))
    odd = config.rename(config.with_name("…—….toml"))
    refused(dpo_tui("--headless", odd), Exit.USAGE, "no run name can be made of this", "--run NAME")


def test_a_directory_that_exists_is_left_as_it_is(dpo_tui: Command, config: Path, tmp_path: Path) -> None:
    taken = tmp_path / "runs" / "tiny"
    taken.mkdir(parents=True)
    (taken / "thesis.txt").write_text("mine")
    outcome = dpo_tui("--headless", config)
    assert (outcome.code, outcome.out) == (Exit.USAGE, "")
    assert f"{taken} exists already: --run NAME starts another" in outcome.err
    assert "--resume" not in outcome.err
    assert [path.name for path in taken.parent.rglob("*")] == ["tiny", "thesis.txt"]


@pytest.mark.parametrize("kind", ["file", "link to nothing", "link to a folder"])
def test_what_is_in_the_place_of_a_run_is_left_as_it_is(
    dpo_tui: Command, config: Path, tmp_path: Path, kind: str
) -> None:
    place, elsewhere = tmp_path / "runs" / "tiny", tmp_path / "elsewhere"
    place.parent.mkdir()
    elsewhere.mkdir()
    if kind == "file":
        place.write_text("mine")
    else:
        place.symlink_to(elsewhere if "folder" in kind else tmp_path / "nothing")
    outcome = dpo_tui("--headless", config)
    assert outcome.code == Exit.USAGE, outcome.err
    assert f"{place} exists already" in outcome.err
    assert [path.name for path in place.parent.iterdir()] == ["tiny"]
    assert not any(elsewhere.iterdir())


def test_a_run_that_somebody_trains_is_left_alone(dpo_tui: Command, config: Path, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "runs" / "tiny")
    run.root.mkdir(parents=True)
    run.config.write_text(config.read_text())
    own = ProcessId.own()
    record = RunRecord(
        id="x", pid=own.pid, start_time=own.start_time, owner=None, host=os.uname().nodename,
        launcher="local", job_id=None, argv=[],
    )  # fmt: skip
    write_record(run.run_json, record)
    before = sorted(os.listdir(run.root))
    for options in ([], ["--resume"], ["--detach"]):
        outcome = dpo_tui("--headless", config, *options)
        assert (outcome.code, outcome.out) == (Exit.USAGE, "")
        assert "tiny is running: `dpo-tui attach " in outcome.err
        assert outcome.err.count("\n") == 1
    assert sorted(os.listdir(run.root)) == before


def test_a_run_whose_lock_is_held_is_left_alone(dpo_tui: Command, config: Path, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "runs" / "tiny")
    run.root.mkdir(parents=True)
    run.config.write_text(config.read_text())
    with RunLock(run.lock):
        outcome = dpo_tui("--headless", config, "--resume")
    assert outcome.code == Exit.USAGE
    assert "tiny is running" in outcome.err


@pytest.mark.parametrize("verb", ["attach", "stop", "export"])
@pytest.mark.parametrize(
    "name", ["none", "", ".", "..", "x" * 300, "x" * 5000, "~nobody-of-this-name", "\udcff", "a\nb"]
)
def test_a_run_that_is_not_there_is_refused_by_every_verb(dpo_tui: Command, verb: str, name: str) -> None:
    outcome = dpo_tui(verb, "--", name)
    refused(outcome, Exit.USAGE, "no run ")


@pytest.mark.parametrize(
    "place", ["x" * 300, "a/" * 3000, "/proc/x", "/dev/null/x"], ids=["name", "path", "proc", "file"]
)
def test_a_runs_directory_that_cannot_be_made_is_one_line(dpo_tui: Command, config: Path, place: str) -> None:
    refused(dpo_tui("--headless", config, "--runs", place), Exit.CANNOT_WRITE, "/tiny: cannot write: ")


def test_a_tilde_of_nobody_is_a_directory_of_that_name(
    dpo_tui: Command, config: Path, tmp_path: Path
) -> None:
    for given in (["--runs", "~nobody-of-this-name"], ["--set", "run.dir=~nobody-of-this-name"]):
        outcome = dpo_tui("--headless", config, *given, "--dry-run")
        assert outcome.code == Exit.DONE, outcome.err
        assert f"# run directory: {tmp_path}/~nobody-of-this-name/tiny" in outcome.out
