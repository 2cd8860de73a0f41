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
    "shape": {
        "parameters": 134_515_008,
        "layers": 30,
        "hidden": 576,
        "heads": 9,
        "kv_heads": 3,
        "head_dim": 64,
        "intermediate": 1_536,
        "vocabulary": 49_152,
        "tied": True,
    },
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


_ANSWERS = (
    "Brew strong tea, and pour it over ice.",
    "1. Brew the ice machine. 2. Add your favorite toppings to your tea.",
)


def pair(index: int) -> dict[str, Any]:
    """A pair as a chat model sees it."""
    asked = f"<|im_start|>user\nIced tea, number {index + 1}?<|im_end|>\n<|im_start|>assistant\n"
    chosen, rejected = (f"{answer}<|im_end|>" for answer in _ANSWERS)
    return {"index": index, "prompt": asked, "chosen": chosen, "rejected": rejected}


def tally(count: int = 0, *places: str) -> dict[str, Any]:
    """How often something happened, and where."""
    return {"count": count, "places": list(places), "detail": ""}


def report(**changed: Any) -> dict[str, Any]:
    """The answer about the built-in pairs, with what is said otherwise."""
    source = {"path": "quickstart", "format": "trl-conversational", "detected": True, "files": 1}
    percentiles = {"p50": 38, "p90": 41, "p95": 41, "p99": 43, "max": 44}
    return {
        "max_length": 512,
        "max_prompt_length": 256,
        "rows": 460,
        "kept": 460,
        "train": 437,
        "eval": 23,
        "eval_wanted": True,
        "sources": [{**source, "rows": 460, "kept": 460, "joined": None}],
        "dropped": {},
        "cut": {},
        "duplicates": tally(),
        "lengths": {
            "prompt": percentiles,
            "chosen": {**percentiles, "p50": 17, "p95": 22},
            "rejected": {**percentiles, "p50": 78, "p95": 1090},
        },
        "histograms": {
            "prompt": [0, 0, 0, 0, 0, 0, 0, 0, 0, 91, 286, 80],
            "chosen": [0, 0, 0, 4, 19, 32, 59, 91, 120, 81, 32, 19],
            "rejected": [0, 0, 0, 0, 1, 8, 18, 28, 61, 78, 125, 141],
        },
        "length_bias": {
            "mean_chosen": 16.7,
            "mean_rejected": 75.5,
            "chosen_longer": 0.0,
            "rejected_longer": 1.0,
        },
        "text_for_chat": tally(),
        "tools_lost": tally(),
        "notices": [],
        "warnings": [],
        "count": 460,
        "partial": False,
        "bins": {"prompt": 43, "chosen": 25, "rejected": 1100},
        "pairs": [pair(index) for index in range(3)],
        **changed,
    }


COLUMNS: dict[str, Any] = {
    "columns": [
        {"name": "q", "kind": "text", "example": "[/x] What is iced tea?"},
        {"name": "better", "kind": "text", "example": "Tea, cold."},
        {"name": "worse", "kind": "text", "example": "A car."},
        {"name": "meta", "kind": "object", "example": '{"id": 7}'},
    ],
    "suggested": {"prompt": None, "chosen": "better", "rejected": "worse"},
    "detected": None,
    "formats": ["trl-explicit", "trl-implicit", "alpaca-ranking"],
}
