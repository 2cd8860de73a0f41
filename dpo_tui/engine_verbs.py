"""Verbs that need torch: their words are checked here, and the engine does the work."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from dpo_tui.text import language
from engine.exits import UsageError
from engine.launch.local import ENGINE
from engine.sanitize import one_line


def doctor(
    json: Annotated[bool, typer.Option("--json", help="JSON on stdout, for programs.")] = False,
) -> None:
    """Say what this machine has to train with, what is wrong with it, and what to do."""
    from dpo_tui.doctor import examine

    raise typer.Exit(examine(json=json))


def become_engine(*arguments: str) -> NoReturn:
    """Replace this process by the engine: its output, its exit code, and signals reach it directly.

    It speaks English: in another language it is a child of this process, which says what it tells.
    """
    if language() != "en":
        from dpo_tui.engine_in_words import carry_out

        raise typer.Exit(carry_out(arguments))
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execv(ENGINE[0], [*ENGINE, *arguments])  # noqa: S606 # argv, no shell


def export_words(
    checkpoint: str | None,
    to: Path | None,
    dtype: str | None,
    *,
    adapter: bool | None,
    layout: str | None,
    push: str | None,
    public: bool,
    verify: bool | None,
) -> list[str]:
    """The engine's options of an export; what was not said the run's config decides. Raises UsageError."""
    if checkpoint is not None and not re.fullmatch("latest|best|[0-9]+", checkpoint):
        text = f"--checkpoint {one_line(checkpoint)}: expected latest, best or a step, like 300"
        raise UsageError("export.bad_checkpoint", text)
    if public and push is None:
        raise UsageError(
            "export.nothing_public", "--public needs --push REPO: nothing is uploaded without it"
        )
    options = {"--checkpoint": checkpoint, "--to": to, "--dtype": dtype, "--layout": layout, "--push": push}
    words = [f"{name}={value}" for name, value in options.items() if value is not None]
    switches = {"adapter": adapter, "verify": verify}
    words += [f"--{'' if on else 'no-'}{name}" for name, on in switches.items() if on is not None]
    return [*words, "--public"] if public else words
