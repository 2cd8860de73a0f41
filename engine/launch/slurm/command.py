"""Slurm's own commands: one call, without a shell, without stdin, and never waited for without end."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PATIENCE = 60.0
"""Seconds a command may take: a busy controller lets it wait."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """Why it did not do what it was asked for; empty where it did."""
        return "" if self.code == 0 else self.err.strip() or self.out.strip() or f"exit code {self.code}"


def call(
    words: Sequence[str], patience: float = PATIENCE, environment: Mapping[str, str] | None = None
) -> Answer:
    """Run a command to its end. Raises OSError where it is not here or does not answer in time."""
    program = shutil.which(words[0])
    if program is None:
        raise FileNotFoundError(f"there is no {words[0]} here")
    try:
        done = subprocess.run(
            [program, *words[1:]],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience,
            stdin=subprocess.DEVNULL,
            env=dict(os.environ if environment is None else environment),
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{words[0]} did not answer within {patience:.0f} seconds") from error
    return Answer(done.returncode, done.stdout, done.stderr)


def order(words: Sequence[str]) -> str:
    """Run a command for what it does; returns why it did not, empty where it did."""
    try:
        return call(words).refusal
    except OSError as error:
        return str(error)
