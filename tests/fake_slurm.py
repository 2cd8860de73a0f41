"""Slurm's commands as scripts that say what a test wants."""

import os
from pathlib import Path

import pytest


class FakeSlurm:
    """Takes every job as number 12, unless it `refuses`; squeue `says` one answer after the other, the last for ever.

    The commands stand before all others on the PATH.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        self._command("sbatch", "echo 12")
        self._command("srun", "exit 1")
        self._command("scancel", f'echo "$1" > {folder}/cancelled')
        self.says("PENDING|Priority")

    def says(self, *answers: str) -> None:
        """What squeue tells of the job from now on: STATE|REASON."""
        (self._folder / "cancelled").unlink(missing_ok=True)
        (self._folder / "asked").unlink(missing_ok=True)
        cases = "".join(
            f"{number}) echo '{answer}';; " for number, answer in enumerate(answers[:-1], start=1)
        )
        count = f"echo x >> {self._folder}/asked; n=$(wc -l < {self._folder}/asked)"
        self._command("squeue", f"{count}\ncase $((n)) in {cases}*) echo '{answers[-1]}';; esac")

    def waits(self, until: Path) -> None:
        """Squeue answers only once that file is there."""
        script = (self._folder / "squeue").read_text()
        self._command("squeue", f"while [ ! -e {until} ]; do sleep 0.02; done\n{script}")

    def refuses(self, why: str) -> None:
        """Sbatch takes no job."""
        self._command("sbatch", f"echo '{why}' >&2; exit 1")

    @property
    def cancelled(self) -> str:
        """The job that was cancelled; empty for none."""
        told = self._folder / "cancelled"
        return told.read_text().strip() if told.exists() else ""

    @property
    def asked(self) -> int:
        """How often squeue was asked."""
        told = self._folder / "asked"
        return len(told.read_text().splitlines()) if told.exists() else 0

    def _command(self, name: str, script: str) -> None:
        path = self._folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
