"""The wheel that people install holds all it needs: no checkout beside it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from engine.shipped import template_names

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(CHECKOUT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files in a directory of their own, which comes before the checkout on the path."""
    folder = tmp_path_factory.mktemp("installed")
    ZipFile(wheel).extractall(folder)
    return folder


def test_the_lock_names_versions_alone() -> None:
    """A path or an address of the machine that wrote it would install there and nowhere else."""
    lines = (CHECKOUT / "requirements.lock").read_text().splitlines()
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-P", *arguments]
    return subprocess.run(command, env=environment, cwd=installed.parent, text=True, capture_output=True)


def test_it_holds_both_packages_and_the_templates(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert folders == {"dpo_tui", "engine"}
    shipped = {
        name.removeprefix("engine/_templates/") for name in names if name.startswith("engine/_templates/")
    }
    assert {
        "quickstart.toml",
        "full.toml",
        "lora.toml",
        "dpo-tui.schema.json",
        "quickstart/pairs.jsonl",
    } <= shipped
    sources = {path.name for path in (CHECKOUT / "engine/kernels/native").glob("*.[ch]*")}
    assert "attention.cpp" in sources
    assert {f"engine/kernels/native/{name}" for name in sources} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_its_templates_are_its_own(installed: Path) -> None:
    program = "from engine.shipped import template_dir; print(template_dir())"
    assert run(installed, "-c", program).stdout.strip() == str(installed / "engine" / "_templates")
    listed = run(installed, "-m", "dpo_tui", "templates", "ls")
    assert listed.returncode == 0, listed.stderr
    assert [line.split()[0] for line in listed.stdout.splitlines()] == template_names()


def test_it_reads_the_builtin_pairs(installed: Path) -> None:
    program = (
        "from engine.config.schema import Source; from engine.data.files.sources import read_rows; import engine;"
        "print(engine.__file__, len(list(read_rows(Source(source='builtin', path='quickstart')))))"
    )
    out = run(installed, "-c", program)
    assert out.returncode == 0, out.stderr
    file, rows = out.stdout.split()
    assert Path(file).is_relative_to(installed)
    assert int(rows) >= 300
