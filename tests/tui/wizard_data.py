"""The wizard at its third step, and what it says there."""

import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from dpo_tui.preview import PreviewClient, PreviewError
from dpo_tui.wizard.data import DataStep
from engine.data.formats.detect import detect
from engine.exits import EngineError
from tests.tui.driving import wait_for
from tests.tui.wizard_app import opened
from tests.tui.wizard_preview import PreviewedApp

LOCAL = """\
[model]
source = "builtin"
id = "smollm2-135m-instruct"
[[data.sources]]
source = "local"
path = "odd.jsonl"
"""
UNKNOWN = [{"q": "What is iced tea?", "better": "Tea, cold.", "worse": "A car."}]


@asynccontextmanager
async def at_data(
    preview: PreviewClient, config: str | None = None, size: tuple[int, int] = (120, 40), until: str = ""
) -> AsyncIterator[tuple[Pilot[Any], DataStep]]:
    """The wizard at its third step, once that tells `until` of the data."""
    path = Path("own.toml") if config is not None else None
    if path is not None:
        path.write_text(config or "")
    async with PreviewedApp(preview, path).run_test(size=size) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+n", "ctrl+n")
        step = app.step
        assert isinstance(step, DataStep)
        if until:
            await wait_for(pilot, lambda: until in told(step))
        yield pilot, step


def told(step: DataStep) -> str:
    """What is said of the data."""
    return str(step.query_one("#report", Static).content)


def sources(step: DataStep) -> list[dict[str, Any]]:
    """The sources as the config has them."""
    found: list[dict[str, Any]] = tomllib.loads(step.draft.text)["data"]["sources"]
    return found


def refused(rows: list[dict[str, Any]], place: str = "odd.jsonl") -> PreviewError:
    """What the engine says of rows whose layout it cannot tell."""
    with pytest.raises(EngineError) as caught:
        detect(rows, place)
    return PreviewError(caught.value.code, caught.value.text, caught.value.params)
