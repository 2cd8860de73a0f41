"""`python -m engine VERB`: the processes of a run, and the engine's own commands. Needs no torch by itself."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import engine.before_libraries  # noqa: F401  (before them)
from engine.arguments import Parser
from engine.exits import EngineError, Exit, UsageError
from engine.launch.slurm.task import in_step, run_task
from engine.process import leave, parent_death_signal, process_id
from engine.rundir.paths import RunDir
from engine.rundir.status import read_record
from engine.telling import tell, tell_in_lines


def main(argv: Sequence[str] | None = None) -> Exit:
    """Carry out one command; whatever stops it ends as one line on stderr and its exit code."""
    verb, rest = _parse(sys.argv[1:] if argv is None else list(argv))
    try:
        _require_working_directory()
        code = _carry_out(verb, rest)
        if sys.stdout is not None:
            sys.stdout.flush()  # here a full disk still has an exit code
        return code
    except EngineError as error:
        tell("error", error.text, error.code, error.params)
        return error.exit
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        _drop_output()
        return Exit.DONE
    except OSError as error:
        _drop_output()
        tell("error", f"{error.filename or 'output'}: {error.strerror or error}")
        return Exit.CANNOT_WRITE


def _carry_out(verb: str, rest: Sequence[str]) -> Exit:
    match verb:
        case "run":
            return _run(rest)
        case "rank":
            return _rank(rest)
        case "data":
            from engine.data.command import main as data

            return data(rest)
        case "preview":
            from engine.preview.command import main as preview

            return preview(rest)
        case "memory":
            from engine.memory_command import main as memory

            return memory(rest)
        case "fetch":
            from engine.fetch_command import main as fetch

            return fetch(rest)
        case "doctor":
            from engine.doctor import main as doctor

            return doctor(rest)
        case "answers":
            from engine.export.command import answers_main as answers

            return answers(rest)
        case _:
            from engine.export.command import main as export

            return export(rest)


def _require_working_directory() -> None:
    try:
        os.getcwd()
    except FileNotFoundError as error:
        text = "the working directory no longer exists: change to another one"
        raise UsageError("cwd.missing", text) from error


def _drop_output() -> None:
    """What stdout still holds goes nowhere, or Python would try again, and complain, when it exits."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parse(argv: list[str]) -> tuple[str, list[str]]:
    parser = Parser(prog="python -m engine", description=__doc__)
    verbs = ["run", "rank", "data", "memory", "fetch", "doctor", "preview", "export", "answers"]
    parser.add_argument(
        "--told",
        type=process_id,
        help="PID:START of the process to tell things as JSON lines, and to die with",
    )
    parser.add_argument("verb", choices=verbs)
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="the verb's own arguments")
    parsed = parser.parse_args(argv)
    if parsed.told is not None:
        parent_death_signal(parsed.told)
        tell_in_lines()
    return parsed.verb, parsed.rest


def _run(argv: Sequence[str]) -> Exit:
    """Supervise a run to its end."""
    parser = Parser(prog="python -m engine run", description="Supervise a run to its end.")
    parser.add_argument("directory", type=Path, help="the run directory")
    parser.add_argument("--owner", type=process_id, help="PID:START of the process whose death stops the run")
    parsed = parser.parse_args(argv)
    from engine.supervise import supervise

    return supervise(_run_dir(parsed.directory), owner=parsed.owner)


def _rank(argv: Sequence[str]) -> Exit:
    """Be one training process of a run; it dies with its supervisor."""
    parser = Parser(prog="python -m engine rank", description="One process of a training.")
    parser.add_argument("directory", type=Path, help="the run directory")
    run = _run_dir(parser.parse_args(argv).directory)
    if in_step(os.environ):
        return run_task(run, _train)
    record = read_record(run.run_json)
    parent_death_signal(record.supervisor if record else None)
    return _train(run.root)


def _train(root: Path) -> Exit:
    from engine.train import main as train

    return train(root)


def _run_dir(path: Path) -> RunDir:
    run = RunDir(path.absolute())
    if not run.config.is_file():
        text = f"{run.root} is no run directory: it has no {run.config.name}"
        raise UsageError("run.unknown", text, run=str(run.root))
    return run


if __name__ == "__main__":
    leave(main())
