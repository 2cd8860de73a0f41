"""Building a kernel where it runs: by whom, once, and in words why not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engine.kernels.native import build
from engine.kernels.native.build import BuildError


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which nothing is built yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    return tmp_path / "empty" / "dpo-tui" / "kernels"


def test_without_a_compiler_it_says_so(monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    monkeypatch.setenv("PATH", str(own_folder))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(BuildError, match="no C\\+\\+ compiler; install"):
        build.library.__wrapped__("attention.cpp")


def test_a_compiler_that_fails_is_quoted(
    monkeypatch: pytest.MonkeyPatch, own_folder: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken-c++"
    broken.write_text(
        "#!/bin/sh\ncase $1 in --version) echo 1;; *) echo 'no such header' >&2; exit 1;; esac\n"
    )
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    with pytest.raises(BuildError, match="broken-c\\+\\+ failed: no such header"):
        build.library.__wrapped__("attention.cpp")
    assert list(own_folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, own_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").write_text("a file where the cache should be")
    with pytest.raises(BuildError, match="kernels: Not a directory"):
        build.library.__wrapped__("attention.cpp")


@pytest.mark.skipif(not torch.cpu._is_avx512_bf16_supported(), reason="the kernel is for AVX-512 BF16")
def test_two_processes_that_build_at_once_leave_one_library(own_folder: Path) -> None:
    code = "from engine.kernels.native.build import library; library('attention.cpp').attention_forward"
    both = [subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ)) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert [path.suffix for path in own_folder.iterdir()] == [".so"]
