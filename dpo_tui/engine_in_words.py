"""The engine's commands in another language than its own: a child, and what it tells is said here.

Its exit code is the command's, signals reach it, and it dies with this process, as if it were this process.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from types import FrameType
from typing import Any

from dpo_tui.display import say, talk
from dpo_tui.export_story import Result
from dpo_tui.text import t
from dpo_tui.text.explain import explain
from engine.launch.local import ENGINE
from engine.process import ProcessId

Render = Callable[[str], str]


def carry_out(arguments: Sequence[str]) -> int:
    """Run a command of the engine to its end. Raises OSError where stdout takes nothing."""
    verb, *words = arguments
    options = words[: words.index("--")] if "--" in words else words
    if verb != "data" or "--json" in options:
        return _run(arguments, None)
    from dpo_tui.data_report import data_report

    return _run([verb, "--json", *words], data_report)


def _run(arguments: Sequence[str], render: Render | None) -> int:
    """`render` makes what is printed of what the command prints; its last word comes after that."""
    last: list[str] = []
    own = ProcessId.own()
    with TemporaryFile() as printed:
        process = subprocess.Popen(
            [*ENGINE, "--told", f"{own.pid}:{own.start_time}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=printed if render else None,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
        )
        with process, _passing_signals(process):
            assert process.stderr is not None
            for line in process.stderr:
                _hear(line.rstrip("\n"), last)
        printed.seek(0)
        if render and (text := printed.read().decode("utf-8", "replace")):
            say(render(text))
    for text in last:
        talk(text)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


@contextmanager
def _passing_signals(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Within it the child decides what a signal means. An interrupt from the terminal reaches it by itself."""

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGINT:
            process.send_signal(number)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, pass_on) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _hear(line: str, last: list[str]) -> None:
    """Say what the engine tells; what its libraries have to say stays as it is."""
    match _told(line):
        case {"told": "error", "code": str(code), "text": str(text), "params": dict(params)}:
            last.append(explain(code, text, params))
        case {"told": "note", "code": str(code), "text": str(text), "params": dict(params)}:
            talk(t("stream.warning", text=explain(code, text, params)))
        case {"told": "proof", "params": dict(params)}:
            talk(_proof(params))
        case {"told": "reused", "params": {"proved": proved}}:
            talk(t("command.export.reused.proved" if proved else "command.export.reused"))
        case {"told": "rows", "params": {"done": int(done), "total": int() | None as total}}:
            _progress(done, total)
        case _:
            talk(line)


def _told(line: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line) if line.startswith('{"told"') else {}
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def _proof(proof: Mapping[str, Any]) -> str:
    """The proof as the export screen has it."""
    from dpo_tui.widgets.export_story import proof_lines

    return "\n".join(line.plain for line in proof_lines(Result(path=Path(), proof=proof)))


def _progress(done: int, total: int | None) -> None:
    """How far data is read, for a person who waits."""
    if sys.stderr.isatty():
        rows = f"{done:,}" if total is None else f"{done:,}/{total:,}"
        what = t("command.data.looking" if total is None else "command.data.encoding", rows=rows)
        print(f"\r{what:<40}", end="\n" if done == total else "", file=sys.stderr, flush=True)
