"""Fixtures shared by all tests."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models are tiny: a second thread only waits
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if not Path("/dev/nvidia0").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # CUDA kernels on a CPU; read when they are imported

# What tests compile, once for all of them: the same source gives the same code.
BUILT = Path(tempfile.gettempdir()) / f"dpo-tui-tests-{os.getuid()}"
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(BUILT))

import pytest  # noqa: E402  (after what is read when it is imported)
from hypothesis import settings  # noqa: E402

# The same examples every time: a test fails for what was changed, not for the day it is run on.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds, or leaves, prepared pairs and reference log-probabilities in anybody's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def in_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's settings and nobody's locale choose the language of a test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    for name in ("DPO_TUI_LANG", "DPO_TUI_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
