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

from dpo_tui.engine_verbs import become_engine, doctor, export_words
from dpo_tui.template_verbs import templates_app
from engine.exits import EngineError, Exit, UsageError
from engine.sanitize import one_line

app = typer.Typer(
    help="Turn preference pairs into a better model, from the terminal.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(templates_app, name="templates")
app.command()(doctor)

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
    become_engine("data", *(["--json"] if json else []), *settings, "--", str(config))


@app.command()
def runs(context: typer.Context, runs_dir: RunsDir = None, json: Json = False) -> None:
    """List all runs with their states."""
    from dpo_tui.runs import show

    raise typer.Exit(show(runs_dir or context.obj, json=json))


@app.command()
def attach(
    context: typer.Context,
    run: RunName,
    runs_dir: RunsDir = None,
    json: Json = False,
    plain: Annotated[bool, typer.Option("--plain", help="A progress line instead of the screens.")] = False,
) -> None:
    """Follow a run from its start, whoever started it: its curves and its log, on a terminal."""
    from dpo_tui.start_app import has_screen, run_app

    root = _find(run, runs_dir or context.obj)
    if not (json or plain) and has_screen():
        raise typer.Exit(run_app(None, run=root))
    from dpo_tui.headless import attach as follow

    raise typer.Exit(follow(root, json=json))


@app.command()
def stop(
    context: typer.Context,
    run: RunName,
    runs_dir: RunsDir = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the run has ended.")] = False,
) -> None:
    """Ask a run to save a checkpoint and stop."""
    from dpo_tui.stopping import stop as stop_run

    raise typer.Exit(stop_run(_find(run, runs_dir or context.obj), wait=wait))


@app.command()
def export(
    context: typer.Context,
    run: RunName,
    runs_dir: RunsDir = None,
    checkpoint: Annotated[
        str | None, typer.Option("--checkpoint", metavar="latest|best|STEP", help="Which checkpoint.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Where the model is written.")
    ] = None,
    dtype: Annotated[
        Literal["bfloat16", "float16", "float32"] | None, typer.Option("--dtype", help="Type of the weights.")
    ] = None,
    adapter: Annotated[
        bool | None, typer.Option("--adapter/--no-adapter", help="The LoRA adapter alone, or merged.")
    ] = None,
    push: Annotated[
        str | None, typer.Option("--push", metavar="REPO", help="Upload to this repo on the hub.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everyone see the uploaded repo.")] = False,
    verify: Annotated[
        bool | None,
        typer.Option("--verify/--no-verify", help="Load it in a fresh process and compare its logits."),
    ] = None,
) -> None:
    """Write a Hugging Face model from a run's checkpoint."""
    given = export_words(checkpoint, to, dtype, adapter=adapter, push=push, public=public, verify=verify)
    become_engine("export", *given, "--", str(_find(run, runs_dir or context.obj)))


def _find(run: str, runs_dir: Path | None) -> Path:
    from dpo_tui.runs import find

    return find(run, runs_dir)
