"""What the tests of bad input share: a model, good pairs, a config around them, and the command itself."""

from pathlib import Path

import pytest

from tests.bad_input.command import Command, stay_here
from tests.engine.runs import CONFIG, write_pairs
from tests.engine.tiny_folder import write_folder


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's folder, to read only."""
    return write_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 30 good pairs, to read only."""
    return write_pairs(tmp_path_factory.mktemp("pairs") / "pairs.jsonl")


@pytest.fixture
def config(tmp_path: Path, model: Path, pairs: Path) -> Path:
    """A config that trains: what a test breaks it sets itself."""
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG.format(name="tiny", folder=tmp_path / "runs", model=model, pairs=pairs))
    return path


@pytest.fixture
def dpo_tui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """The command, in an empty directory and with empty caches."""
    monkeypatch.chdir(tmp_path)
    stay_here(monkeypatch)
    return Command(tmp_path, capfd)
