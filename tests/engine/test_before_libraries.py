"""No library of the engine fetches code from a hub, keeps compiled code where it is lost, or delays every start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FAKE = "def get_kernel(*names, **settings):\n    raise SystemExit(f'fetched {names}')\n"


@pytest.mark.parametrize("module", ["engine.__main__", "engine.export.reading"])
def test_importing_adapters_fetches_no_code(module: str, tmp_path: Path) -> None:
    """With a package `kernels` that would, and a processor that bitsandbytes would fetch for."""
    (tmp_path / "kernels.py").write_text(FAKE)
    code = f"import {module}, peft, bitsandbytes, sys; assert sys.modules['kernels'] is None"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "kernels" not in done.stderr, "a library advises to install what is kept out"


@pytest.mark.parametrize("asked", [None, "elsewhere"])
def test_compiled_code_is_kept_with_the_other_caches(asked: str | None, tmp_path: Path) -> None:
    code = (
        "import engine.__main__, torch._dynamo, torch._inductor.runtime.cache_dir_utils as place;"
        "print(place.cache_dir())"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("TORCHINDUCTOR_CACHE_DIR", None)
    if asked:
        environment["TORCHINDUCTOR_CACHE_DIR"] = str(tmp_path / asked)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == str(tmp_path / (asked or "dpo-tui/inductor")), done.stderr


def test_a_training_does_not_wait_for_libraries_it_may_not_need() -> None:
    """Adapters and pictures: together they take more than a second."""
    code = "import engine.__main__, engine.train, sys; print({'peft', 'bitsandbytes', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
