"""Words that several commands take: how typer reads them, and what `--help` says of them."""

from pathlib import Path
from typing import Annotated

import typer

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="The config, a TOML file.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's name or directory.")]
RunsDir = Annotated[
    Path | None, typer.Option("--runs", metavar="DIR", help="The directory of all runs, instead of ./runs.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, as in train.max_steps=100. Repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout, for programs.")]
