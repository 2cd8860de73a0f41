"""The verbs about runs: list, follow, stop and export them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from dpo_tui import engine_verbs
from dpo_tui.words import Json, RunName, RunsDir


def runs(context: typer.Context, runs_dir: RunsDir = None, json: Json = False) -> None:
    """List all runs with their states."""
    from dpo_tui.runs import show

    raise typer.Exit(show(runs_dir or context.obj, json=json))


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


def stop(
    context: typer.Context,
    run: RunName,
    runs_dir: RunsDir = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the run has ended.")] = False,
) -> None:
    """Ask a run to save a checkpoint and stop."""
    from dpo_tui.stopping import stop as stop_run

    raise typer.Exit(stop_run(_find(run, runs_dir or context.obj), wait=wait))


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
    layout: Annotated[
        Literal["original", "native"] | None,
        typer.Option("--layout", help="Names of an InternLM2's weights: its own, or a Llama's."),
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
    given = engine_verbs.export_words(
        checkpoint, to, dtype, adapter=adapter, layout=layout, push=push, public=public, verify=verify
    )
    engine_verbs.become_engine("export", *given, "--", str(_find(run, runs_dir or context.obj)))


def _find(run: str, runs_dir: Path | None) -> Path:
    from dpo_tui.runs import find

    return find(run, runs_dir)
