"""`python -m engine export` and `answers`: their words, and what is told of them. Free of torch until they begin."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.arguments import Parser
from engine.config.load import load_config
from engine.config.local import expanded
from engine.exits import Exit, UsageError
from engine.export.recording import out_of_memory, recorded
from engine.export.stages import Stage, State, Tell, nobody, stage
from engine.rundir.events import EventWriter
from engine.rundir.paths import RunDir
from engine.sanitize import one_line
from engine.telling import tell

if TYPE_CHECKING:
    from engine.export.export import Exported
    from engine.export.source import Checkpoint

LAYOUTS = ("original", "native")
DTYPES = ("bfloat16", "float16", "float32")
MOST_ANSWERS = 16


def main(argv: Sequence[str]) -> Exit:
    """`python -m engine export DIR ...`: the folder on stdout, everything else on stderr. Raises what `export` does.

    With `--progress` all of it is also written down as events, for the app.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    _share_cores()
    if options.answers and options.progress is None:
        parser.error("--answers goes with --progress: there they are written")
    if options.progress is None:
        exported = _export(options, nobody)
    else:
        told: list[Exported] = []
        recorded(expanded(options.progress), lambda events: _recorded_export(options, events, told))
        exported = told[0]
    _tell_about(exported)
    print(exported.path)
    return Exit.DONE


def _share_cores() -> None:
    """Have torch's threads sleep while they wait for each other: where others compute too, a spinning one costs more
    than it brings (measured on two busy cores: nine times the CPU time an answer). To be said before torch is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _recorded_export(options: argparse.Namespace, events: EventWriter, told: "list[Exported]") -> Exit:
    """The export as events, then the answers: that there are none of these is no failure of the export."""
    exported = _export(options, _teller(events))
    told.append(exported)
    for notice in exported.notices:
        events.warning(notice.code, notice.text, **notice.params)
    events.emit("export", push=options.push, **exported.to_json())
    if options.answers:
        _answer_if_possible(_run(options), exported.path, options.answers, events)
    return Exit.DONE


def _teller(events: EventWriter) -> Tell:
    def tell(name: Stage, state: State) -> None:
        events.emit("stage", stage=name, state=state)

    return tell


def _run(options: argparse.Namespace) -> RunDir:
    return RunDir(expanded(options.run).resolve())


def _export(options: argparse.Namespace, tell: Tell) -> "Exported":
    run = _run(options)
    config = load_config(run.config).config
    from engine.export.export import export
    from engine.export.folder import export_folder
    from engine.models.quiet import quiet_libraries, talk_on_stderr

    settings = config.export
    quiet_libraries()
    with talk_on_stderr():
        return export(
            run,
            checkpoint=settings.checkpoint if options.checkpoint is None else options.checkpoint,
            to=options.to or export_folder(run, config),
            dtype=options.dtype,
            adapter=settings.adapter if options.adapter is None else options.adapter,
            layout=options.layout,
            push=options.push,
            private=settings.private if options.public is None else not options.public,
            verify=settings.verify if options.verify is None else options.verify,
            tell=tell,
        )


def _answer(run: RunDir, folder: Path, count: int, events: EventWriter) -> None:
    from engine.export.answers import compared
    from engine.models.quiet import quiet_libraries, talk_on_stderr

    quiet_libraries()
    with stage(_teller(events), "answers"), talk_on_stderr():
        answers = compared(run, folder, count)
    events.emit("answers", answers=[answer.to_json() for answer in answers])


def _answer_if_possible(run: RunDir, folder: Path, count: int, events: EventWriter) -> None:
    """The export is good without answers: why there are none is a warning."""
    try:
        _answer(run, folder, count, events)
    except Exception as error:
        problem = (
            "too little memory" if out_of_memory(error) else one_line(str(error) or type(error).__name__)
        )
        events.warning("export.no_answers", f"no answers to compare: {problem}", problem=problem)


def _tell_about(exported: "Exported") -> None:
    """What a person is told besides the folder."""
    if exported.reused:
        proved = exported.proof is not None
        text = f"already written{' and verified' if proved else ''}: only uploaded"
        tell("reused", text, params={"proved": proved})
    elif exported.proof:
        tell("proof", exported.proof.line(), params=exported.proof.to_json())
    for notice in exported.notices:
        tell("note", notice.text, notice.code, notice.params)


def _parser() -> Parser:
    parser = Parser(prog="python -m engine export", description="Write a run's model.")
    switch = argparse.BooleanOptionalAction
    parser.add_argument("run", type=Path, metavar="DIR", help="run directory")
    parser.add_argument("--checkpoint", type=_checkpoint, help="latest, best, or a step")
    parser.add_argument("--to", type=Path, metavar="DIR", help="folder to write; the run's own by default")
    parser.add_argument("--dtype", choices=DTYPES, help="type of the weights")
    parser.add_argument("--adapter", action=switch, help="the LoRA adapter alone")
    parser.add_argument(
        "--layout", choices=LAYOUTS, help="names of an InternLM2's weights: its own, or a Llama's"
    )
    parser.add_argument("--verify", action=switch, help="load it in a fresh process and compare its logits")
    parser.add_argument("--push", metavar="REPO", help="upload to this repo of the Hugging Face hub")
    parser.add_argument(
        "--public", action="store_true", default=None, help="let everyone see the uploaded repo"
    )
    parser.add_argument(
        "--private", dest="public", action="store_false", default=None, help="whatever the config says of it"
    )
    parser.add_argument("--progress", type=Path, metavar="FILE", help="write down what happens, as events")
    parser.add_argument(
        "--answers", type=_count, default=0, metavar="N", help="then answer N questions before and after"
    )
    return parser


def _checkpoint(text: str) -> "Checkpoint":
    if text in ("latest", "best"):
        return text  # type: ignore[return-value]
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"latest, best or a step, not {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_ANSWERS:
        raise argparse.ArgumentTypeError(f"a number up to {MOST_ANSWERS}, not {text!r}")
    return int(text)


def answers_main(argv: Sequence[str]) -> Exit:
    """`python -m engine answers DIR FOLDER --progress FILE`: as after an export, for one that is there already.

    They are added to what the file tells. Raises UsageError for a folder that holds no model.
    """
    parser = Parser(prog="python -m engine answers", description="Ask a run's model before and after.")
    parser.add_argument("run", type=Path, metavar="DIR", help="run directory")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what was exported of it")
    parser.add_argument("--progress", type=Path, metavar="FILE", required=True, help="where answers go")
    parser.add_argument("--count", type=_count, default=3, metavar="N", help="how many questions")
    options = parser.parse_args(argv)
    _share_cores()

    def answer(events: EventWriter) -> Exit:
        _answer_if_possible(_run(options), require_export(options.folder), options.count, events)
        return Exit.DONE

    return recorded(expanded(options.progress), answer, anew=False)


def require_export(path: Path) -> Path:
    """The absolute folder of an export. Raises UsageError for one that holds no model."""
    folder = expanded(path).resolve()
    if not any(os.path.isfile(folder / name) for name in ("config.json", "adapter_config.json")):
        raise UsageError(
            "answers.no_export", f"{folder}: no exported model here. Export the run first.", path=str(folder)
        )
    return folder
