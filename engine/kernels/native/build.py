"""Builds a C++ source of this folder into a shared library, once a machine, and loads it.

The library is named by its source, compiler and processor, so that a shared home directory serves unlike machines, and
no process can load half a file: it is written beside and renamed. OpenMP's symbols are left to torch, which
has brought its own runtime: a second one would be a second crew of threads.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import platformdirs
import torch

COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-O3", "-std=c++17", "-march=native", "-fopenmp", "-fPIC")
SECONDS = 300


class BuildError(Exception):
    """Why there is no library, in a line."""


@cache
def library(source: str) -> ctypes.CDLL:
    """The library of the file `source` in this folder. Raises BuildError."""
    torch.get_num_threads()  # torch's OpenMP runtime is there before the library asks for it
    compiler = find_compiler()
    with as_file(files(__package__)) as folder:
        target = _folder() / f"{Path(source).stem}-{_key(folder, compiler)}.so"
        if not target.exists():
            _build(folder / source, compiler, target)
    try:
        return ctypes.CDLL(str(target))
    except OSError as error:
        raise BuildError(f"{target}: {error}") from error


def find_compiler() -> str:
    """The C++ compiler's path: $CXX, or the first of the usual names. Raises BuildError."""
    for name in (os.environ.get("CXX", ""), *COMPILERS):
        if name and (found := shutil.which(name)):
            return found
    raise BuildError("there is no C++ compiler; install g++")


def _folder() -> Path:
    return Path(platformdirs.user_cache_dir("dpo-tui")) / "kernels"


def _key(folder: Path, compiler: str) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for source in sorted([*folder.glob("*.h"), *folder.glob("*.cpp")]):
        digest.update(source.read_bytes())
    digest.update("\n".join((*FLAGS, _output([compiler, "--version"]), _processor())).encode())
    return digest.hexdigest()


@cache
def _processor() -> str:
    """The first processor's model and abilities."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return ""
    return "\n".join(line for line in lines if line.startswith(("model name", "flags")))


def _build(source: Path, compiler: str, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            unit, built = Path(folder) / "unit.o", Path(folder) / "built.so"
            _output([compiler, *FLAGS, "-c", str(source), "-o", str(unit)])
            _output([compiler, "-shared", str(unit), "-o", str(built)])
            built.replace(target)
    except OSError as error:
        raise BuildError(f"{target.parent}: {error.strerror}") from error


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{command[0]}: {error}") from error
    if done.returncode:
        first = (done.stderr.strip().splitlines() or ["no word of why"])[0]
        raise BuildError(f"{command[0]} failed: {first}")
    return done.stdout
