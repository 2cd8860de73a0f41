"""Folders that an export must not touch: refused before training, and by the command, with all in them as it was."""

from pathlib import Path

import pytest

from engine.exits import Exit
from engine.rundir.paths import RunDir
from tests.bad_input.command import Command, failed
from tests.engine.tiny_run import tiny_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, model: Path) -> RunDir:
    """A trained run, to read only."""
    return tiny_run(tmp_path_factory.mktemp("runs") / "trained", model)


@pytest.fixture(params=["foreign", "added", "git", "home", "root", "file", "link", "link to home", "parent"])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is somebody's, in one way or another."""
    place = tmp_path / "target"
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    home.mkdir()
    if request.param in ("root", "home"):
        return Path("/") if request.param == "root" else home
    if request.param == "file":
        place.write_text("mine")
        return place
    if request.param.startswith("link"):
        real = tmp_path / "real"
        real.mkdir()
        (real / "thesis.txt").write_text("mine")
        place.symlink_to(home if "home" in request.param else real)
        return place
    place.mkdir()
    if request.param == "git":
        (place / ".git").mkdir()
    else:
        (place / "thesis.txt").write_text("mine")
    if request.param == "added":
        (place / "dpo-tui.json").write_text('{"v": 1, "files": ["README.md"]}')
    return place / "sub" / ".." if request.param == "parent" else place


def contents(folder: Path) -> dict[str, str]:
    """Every file under a folder with its text, and every link with its target."""
    kept = {path: path for path in folder.rglob("*") if "runs" not in path.parts and path.name != "tiny.toml"}
    return {
        str(path): str(path.readlink()) if path.is_symlink() else path.read_text() if path.is_file() else ""
        for path in kept
    }


def test_training_does_not_begin(dpo_tui: Command, config: Path, target: Path, tmp_path: Path) -> None:
    before = contents(tmp_path)
    outcome = dpo_tui("--headless", config, f"--set=export.to='{target}'")
    failed(outcome, Exit.USAGE, "nothing is written there", "Choose a new or empty folder")
    assert not outcome.run.data_dir.exists()
    assert contents(tmp_path) == before


def test_the_command_refuses(dpo_tui: Command, run: RunDir, target: Path, tmp_path: Path) -> None:
    before = contents(tmp_path)
    outcome = dpo_tui("export", run.root, "--to", target)
    assert (outcome.code, outcome.out) == (Exit.USAGE, "")
    assert "nothing is written there" in outcome.err
    assert "Traceback" not in outcome.err
    assert contents(tmp_path) == before


def test_a_link_to_an_empty_folder_is_followed_and_stays(
    dpo_tui: Command, run: RunDir, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    outcome = dpo_tui("export", run.root, "--to", tmp_path / "link")
    assert outcome.code == Exit.DONE, outcome.err
    assert (tmp_path / "link").readlink() == Path("real")
    assert (tmp_path / "real" / "model.safetensors").is_file()


@pytest.mark.parametrize("place", ["/proc/nowhere/export", "/dev/null/export", "x" * 300])
def test_a_place_where_nothing_can_be_written_is_one_line(dpo_tui: Command, run: RunDir, place: str) -> None:
    outcome = dpo_tui("export", run.root, "--to", place)
    assert outcome.code == Exit.CANNOT_WRITE, outcome.err
    assert (outcome.err.count("\n"), outcome.out) == (1, "")
    assert place[:20] in outcome.err


def test_a_tilde_of_nobody_is_a_folder_of_that_name(dpo_tui: Command, run: RunDir, tmp_path: Path) -> None:
    outcome = dpo_tui("export", run.root, "--to", "~nobody-of-this-name/model")
    assert outcome.code == Exit.DONE, outcome.err
    assert (tmp_path / "~nobody-of-this-name" / "model" / "model.safetensors").is_file()


def test_a_checkpoint_that_is_not_there_is_named_with_those_that_are(dpo_tui: Command, run: RunDir) -> None:
    outcome = dpo_tui("export", run.root, "--checkpoint", "77")
    assert outcome.code == Exit.USAGE
    assert "has no checkpoint of step 77. Checkpoints: 4" in outcome.err
    assert "Traceback" not in outcome.err
