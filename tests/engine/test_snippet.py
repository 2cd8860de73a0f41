"""The lines that load an export are run as they stand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dpo_tui.export_story import result_of
from engine.snippet import loading_snippet
from tests.engine.tiny_run import LORA, exported, tiny_run


@pytest.mark.parametrize("adapter", [False, True])
def test_the_snippet_loads_the_export_and_answers(adapter: bool, tmp_path: Path, model: Path) -> None:
    run = tiny_run(tmp_path / "run", model, LORA if adapter else "")
    found = result_of(exported(run, adapter=adapter, to=tmp_path / 'it\'s "an" export'))
    assert found is not None
    assert found.adapter == adapter
    code = loading_snippet(str(found.path), adapter=found.adapter, chat=found.chat)
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr
    assert "import AutoPeftModelForCausalLM" in code if adapter else "peft" not in code


def test_a_place_is_quoted_whatever_it_holds() -> None:
    code = loading_snippet('a"\n\\ é\x1b', adapter=False, chat=True)
    line = next(line for line in code.splitlines() if line.startswith("path = "))
    namespace: dict[str, str] = {}
    exec(line, namespace)
    assert namespace["path"] == 'a"\n\\ é\x1b'
    assert line.isascii()
