"""The verbs of `dpo-tui templates`: list, show and copy the configs to start from."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from engine.sanitize import one_line

templates_app = typer.Typer(
    help="List, show and copy the configs to start from.", rich_markup_mode=None, no_args_is_help=True
)


@templates_app.command("ls")
def templates_ls() -> None:
    """List the templates, each with what it is for."""
    from dpo_tui.templates import purposes

    listed = purposes()
    width = max(map(len, listed), default=0)
    for name, purpose in listed.items():
        print(f"{name:<{width}}  {purpose}")


@templates_app.command("cat")
def templates_cat(name: Annotated[str, typer.Argument(metavar="NAME", help="See `ls`.")]) -> None:
    """Print a template."""
    from dpo_tui.templates import text

    sys.stdout.buffer.write(text(name))
    sys.stdout.flush()


@templates_app.command("cp")
def templates_cp(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See `ls`.")],
    destination: Annotated[
        Path | None, typer.Argument(metavar="[DEST]", help="File or directory; NAME.toml here when absent.")
    ] = None,
) -> None:
    """Copy a template to edit it. Nothing is overwritten."""
    from dpo_tui.templates import copy

    print(one_line(str(copy(name, destination))))
