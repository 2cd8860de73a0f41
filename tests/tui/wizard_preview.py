"""The wizard with a helper process that is played: it answers at once, with an error, or not at all."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dpo_tui.preview import PreviewClient, PreviewError, Progress
from dpo_tui.wizard.screen import WizardScreen
from tests.tui.wizard_app import WizardApp

Played = dict[str, Any] | PreviewError | None | Callable[[dict[str, Any]], Any]

BUILTIN_FACTS: dict[str, Any] = {
    "architecture": "llama",
    "parameters": 134_515_008,
    "dtype": "Q4_1",
    "bytes": 98_362_432,
    "layers": 30,
    "hidden": 576,
    "heads": 9,
    "vocabulary": 49_152,
    "context": 8_192,
    "license": "apache-2.0",
    "cached": True,
    "chat_template": True,
    "commit": None,
}


class PlayedPreview(PreviewClient):
    """`answers` by what is asked: an answer, an error, None for silence, or a function of the question."""

    def __init__(self, **answers: Played) -> None:
        super().__init__(lambda: ["false"])
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.progress: tuple[int, int | None] | None = None

    async def start(self) -> None:
        """There is no process."""

    async def close(self) -> None:
        """There is none to end."""

    async def ask(self, kind: str, on_progress: Progress | None = None, **asked: Any) -> dict[str, Any]:
        """As it was told to."""
        self.asked.append((kind, asked))
        answer: Any = self.answers.get(kind)
        if callable(answer):
            answer = answer(asked)
        if self.progress and on_progress:
            on_progress(*self.progress)
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, PreviewError):
            raise answer
        assert isinstance(answer, dict)
        return answer

    def questions(self, kind: str) -> list[dict[str, Any]]:
        """What was asked of a kind, in order."""
        return [asked for name, asked in self.asked if name == kind]


class PreviewedApp(WizardApp):
    """The wizard alone, with a played helper process."""

    def __init__(self, preview: PreviewClient, config: Path | None = None) -> None:
        super().__init__(config)
        self.played = preview

    def open_wizard(self, config: Path | None = None) -> None:
        self.push_screen(WizardScreen(self.runs_dir, config, self.played))
