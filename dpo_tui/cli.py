"""The command line: `dpo-tui` for the app, `dpo-tui --headless CONFIG`, and the verbs.

Only words become calls here, and errors become exit codes. Everything heavier than typer is imported in the
command that needs it, so that `--help` answers at once. Stdout is data, stderr is talk.
"""

import os
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Annotated, Literal

import typer

from dpo_tui import engine_verbs
from dpo_tui.run_verbs import attach, export, runs, stop
from dpo_tui.template_verbs import templates_app
from dpo_tui.words import ConfigPath, Json, Overrides, RunsDir
from engine.exits import EngineError, Exit, UsageError
from engine.sanitize import one_line

app = typer.Typer(
    help="Turn preference pairs into a better model, from the terminal.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(templates_app, name="templates")
app.command()(engine_verbs.doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point. Every error a person can act on ends here: its text on stderr, its exit code to the shell."""
    from dpo_tui.display import give_up, talk
    from dpo_tui.text.explain import error_text

    try:
        try:
            code = app(arguments, prog_name="dpo-tui", standalone_mode=False)
        finally:
            print(end="", flush=True)  # what is still buffered may fail as well
    except typer.TyperException as error:
        talk(_complaint(error))
        sys.exit(error.exit_code)
    except EngineError as error:
        talk(error_text(error))
        sys.exit(error.exit)
    except OSError as error:
        sys.exit(give_up(error))
    sys.exit(code)


def _complaint(error: typer.TyperException) -> str:
    """What typer says of words it cannot use, with the usage of the command they were meant for."""
    if not hasattr(error, "show"):
        return error.format_message()
    text = StringIO()
    error.show(file=text)
    return text.getvalue().rstrip("\n")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"dpo-tui {version('dpo-tui')}")
        raise typer.Exit(Exit.DONE)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    headless: Annotated[
        Path | None,
        typer.Option(
            "--headless", metavar="CONFIG", help="Train what this TOML file says, without the screens."
        ),
    ] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="NAME", help="Name of the run, instead of the config's.")
    ] = None,
    runs: RunsDir = None,
    overrides: Overrides = None,
    json: Json = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the full config and what would be started.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run from its newest good checkpoint.")
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Start the run, print its name, and leave it running.")
    ] = False,
    lang: Annotated[
        Literal["en", "zh"] | None,
        typer.Option(
            "--lang",
            help="Language of the screens and of what is said of runs; else DPO_TUI_LANG, the locale.",
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 # its callback prints it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    from dpo_tui.start_app import speak

    context.obj = runs
    speak(lang)
    _require_directory()
    if headless is None:
        given = {
            "--run": run, "--set": overrides, "--json": json,
            "--dry-run": dry_run, "--resume": resume, "--detach": detach,
        }  # fmt: skip
        _without_headless(context.invoked_subcommand, [name for name, value in given.items() if value])
        if context.invoked_subcommand is None:
            raise typer.Exit(_show_app(runs))
        return
    if context.invoked_subcommand is not None:
        raise UsageError(
            "cli.two_commands",
            f"--headless and {context.invoked_subcommand} do not go together",
            verb=context.invoked_subcommand,
        )
    from dpo_tui.headless import launch

    code = launch(
        headless,
        run_name=run,
        runs_dir=runs,
        overrides=overrides or (),
        json=json,
        dry_run=dry_run,
        resume=resume,
        detach=detach,
    )
    raise typer.Exit(code)


def _require_directory() -> None:
    try:
        os.getcwd()
    except OSError as error:
        text = (
            f"the current directory cannot be used ({error.strerror}): it was deleted or moved; cd elsewhere"
        )
        raise UsageError("cli.no_directory", text) from error


def _without_headless(verb: str | None, given: list[str]) -> None:
    if given:
        after = f" Options of `{verb}` come after it." if verb else ""
        raise UsageError("cli.needs_headless", f"{given[0]} needs --headless CONFIG.{after}", option=given[0])


def _show_app(runs_dir: Path | None, *, new: bool = False, config: Path | None = None) -> int:
    """The screens, over the runs in `runs_dir`; returns their exit code."""
    from dpo_tui.start_app import has_screen, run_app

    if not has_screen():
        raise UsageError(
            "cli.no_terminal",
            "This is no terminal, so there are no screens. Use: dpo-tui --headless CONFIG (see dpo-tui --help)",
        )
    return run_app(runs_dir, new=new, config=config)


@app.command()
def new(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Argument(metavar="[CONFIG]", help="A config to start from; a template without one."),
    ] = None,
    runs_dir: RunsDir = None,
) -> None:
    """Set up a run on the screen, from a template or from a config."""
    raise typer.Exit(_show_app(runs_dir or context.obj, new=True, config=config))


@app.command()
def validate(config: ConfigPath, overrides: Overrides = None) -> None:
    """Check a config: every problem at once, with its line."""
    from dpo_tui.display import talk
    from dpo_tui.text import t
    from engine.config.load import load_config

    load_config(config, overrides or ())
    talk(t("command.valid", path=one_line(str(config))))


@app.command()
def schema() -> None:
    """Print the config's JSON schema, for editors."""
    from engine.config.jsonschema import schema_text

    print(schema_text(), end="")


@app.command()
def data(
    config: Annotated[Path, typer.Argument(metavar="CONFIG|PATH", help="A config, or a file of pairs.")],
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="MODEL", help="For a PATH: whose tokenizer counts the tokens."),
    ] = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Report what training would make of the data."""
    settings = [f"--set={override}" for override in overrides or ()]
    settings += [f"--model={model}"] if model is not None else []
    engine_verbs.become_engine("data", *(["--json"] if json else []), *settings, "--", str(config))


for verb in (runs, attach, stop, export):
    app.command()(verb)


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A DPO config of XTuner's, a .py file. It is read, never run."),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", metavar="OUT.toml", help="File or folder, or - for stdout; FILE's name here when absent."
        ),
    ] = None,
) -> None:
    """Turn a DPO config of XTuner's into one of ours, and say what became of each setting."""
    from dpo_tui.importing.command import import_file

    import_file(file, to)
