"""What the tests of the app share: a language, a home of their own, and a clock that stands still."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["TEXTUAL_ANIMATIONS"] = "none"  # read when textual is imported
os.environ.pop("NO_COLOR", None)

from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.widgets import Input

from dpo_tui import clock, text
from tests.tui.driving import SIZES
from tests.tui.fake_runs import NOW


class FrameExtension(SingleFileSnapshotExtension):
    """A frame is a text file, to be read in a diff."""

    _write_mode = WriteMode.TEXT
    file_extension = "txt"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Chinese is drawn on the smallest terminal alone, where its wide characters have the least room."""
    items[:] = [item for item in items if not _is_spacious_chinese(item)]


def _is_spacious_chinese(item: pytest.Item) -> bool:
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return params.get("language") == "zh" and params.get("size") in SIZES[1:]


@pytest.fixture
def snapshot(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Compares frames with those looked at before."""
    return snapshot.use_extension(FrameExtension)


@pytest.fixture(params=["en", "zh"])
def language(request: pytest.FixtureRequest) -> Iterator[text.Language]:
    """The test runs in both languages."""
    spoken: text.Language = request.param
    text.use(spoken)
    yield spoken
    text.use("en")


@pytest.fixture(autouse=True)
def quiet_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a working directory and settings of nobody; English; UTC; no blinking cursor; no token."""
    home = tmp_path / "home"
    work = tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(home))
    for kind in ("CONFIG", "STATE", "DATA"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
    for name in ("HF_TOKEN", "DPO_TUI_LANG", "DPO_TUI_SETTINGS", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(home / "huggingface"))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(Input, "cursor_blink", False)
    text.use("en")
    return work


@pytest.fixture
def runs_dir(quiet_home: Path) -> Path:
    """Where the runs would be."""
    return quiet_home / "runs"


@pytest.fixture
def still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still where the runs were left, so that ages and durations on the screen do."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
