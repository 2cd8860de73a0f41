"""A preview as the app has it: a process to ask, and what it has told so far."""

import json
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

from tests.engine.hub_here import hub_environment
from tests.waiting import until


class PreviewProcess:
    """`python -m engine preview` with a temporary folder and caches of its own below `place`."""

    def __init__(self, place: Path, hub: str) -> None:
        self.temporary = place / "tmp"
        self.temporary.mkdir()
        self.errors = place / "stderr.txt"
        self.lines: list[bytes] = []
        self._last = 0
        environment = hub_environment(hub, place, TMPDIR=str(self.temporary))
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "engine", "preview"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
            )
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)

    def send(self, line: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def ask(self, ask: str, **fields: Any) -> int:
        """Sends a request; its id."""
        self._last += 1
        self.send(json.dumps({"id": self._last, "ask": ask, **fields}).encode())
        return self._last

    def about(self, number: int) -> list[dict[str, Any]]:
        """Everything told about a request so far."""
        return [told for told in self.told() if told.get("id") == number]

    def told(self) -> list[dict[str, Any]]:
        """Every line so far; fails for one that is no JSON."""
        return [json.loads(line) for line in list(self.lines)]

    def last(self, number: int, seconds: float = 60.0) -> dict[str, Any]:
        """The last line of a request, waited for."""

        def ended() -> dict[str, Any]:
            return next((told for told in self.about(number) if "progress" not in told), {})

        return until(ended, seconds)

    def answer(self, ask: str, **fields: Any) -> Any:
        """What the answer to a question says."""
        told = self.last(self.ask(ask, **fields))
        assert "answer" in told, told
        return told["answer"]

    def error(self, ask: str, **fields: Any) -> Any:
        """The error that is the answer to a question."""
        return self.last(self.ask(ask, **fields))["error"]

    def end(self) -> int:
        """Closes its stdin and waits; the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(30)


def config_of(model: Path, *files: Path, **data: Any) -> dict[str, Any]:
    """A config as the wizard has it: the values of a TOML file."""
    sources = [{"source": "local", "path": str(file)} for file in files]
    return {
        "model": {"source": "local", "id": str(model)},
        "data": {"max_length": 96, "max_prompt_length": 48, "sources": sources, **data},
    }
