"""Fixtures shared by all tests."""

import os
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models are tiny: a second thread only waits
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if not Path("/dev/nvidia0").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # CUDA kernels on a CPU; read when they are imported

# What tests compile, once for all of them: the same source gives the same code.
BUILT = Path(tempfile.gettempdir()) / f"dpo-tui-tests-{os.getuid()}"
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(BUILT))

import platformdirs  # noqa: E402  (after what is read when they are imported)
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# The same examples every time: a test fails for what was changed, not for the day it is run on.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


# DeepSpeed's operations, which torch looks for in the cache that each test has for itself, are those of the set-up.
PYTHON = f"py{sys.version_info.major}{sys.version_info.minor}"
if extensions := sorted(Path(platformdirs.user_cache_dir("torch_extensions")).glob(f"{PYTHON}*")):
    os.environ.setdefault("TORCH_EXTENSIONS_DIR", str(extensions[0]))


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Places for caches, one after the other."""
    folder = tmp_path_factory.mktemp("caches")
    return (folder / str(number) for number in count())


@pytest.fixture(autouse=True)
def own_cache(caches: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds, or leaves, prepared pairs and reference log-probabilities in anybody's cache.

    Compiled kernels are found there: those of the tests before.
    """
    cache, kernels = next(caches), BUILT / "kernels"
    kernels.mkdir(parents=True, exist_ok=True)
    (cache / "dpo-tui").mkdir(parents=True)
    (cache / "dpo-tui" / "kernels").symlink_to(kernels)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(cache / "modelscope"))


@pytest.fixture(autouse=True)
def in_english(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's settings and nobody's locale choose the language of a test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    for name in ("DPO_TUI_LANG", "DPO_TUI_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
