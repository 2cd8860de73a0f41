"""The process that reads models and data: it costs seconds of work, so it is there for whoever needs it only."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from textual.worker import Worker

from dpo_tui.preview import PreviewClient
from dpo_tui.wizard import data_look, model
from dpo_tui.wizard import screen as wizard_screen
from tests.tui.driving import wait_for
from tests.tui.wizard_app import Blank, WizardApp, opened, stand_still


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)


class Watched(WizardApp):
    """`person`: a terminal is in front of it."""

    def __init__(self, *, person: bool = False) -> None:
        super().__init__()
        self.person = person

    @property
    def is_headless(self) -> bool:
        return not self.person


def started(preview: PreviewClient) -> bool:
    return preview._process is not None


@pytest.mark.parametrize(("keys", "step"), [(1, "model"), (2, "data")])
async def test_a_step_that_asks_starts_it(keys: int, step: str) -> None:
    async with Watched().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        assert not started(app.wizard.preview)
        await pilot.press(*["ctrl+n"] * keys)
        assert app.step.step_id == step
        await wait_for(pilot, lambda: started(app.wizard.preview))


async def test_passing_by_starts_nothing_and_coming_back_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Watched().run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        asked = asked_of(app.wizard.preview, monkeypatch)
        gone_by = asyncio.Event()
        for waiting in (model, data_look):
            monkeypatch.setattr(waiting, "asyncio", SimpleNamespace(sleep=lambda _: gone_by.wait()))
        await pilot.press(*["ctrl+n"] * 4)
        assert len(looking(app)) == 2
        gone_by.set()
        await pilot.app.workers.wait_for_complete(looking(app))
        assert asked == []
        assert not started(app.wizard.preview)
        await pilot.press("ctrl+p", "ctrl+p")
        await wait_for(pilot, lambda: asked == ["data"])
        await pilot.press("ctrl+p")
        await wait_for(pilot, lambda: asked == ["data", "model"])


async def test_a_person_finds_it_started_before_the_first_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wizard_screen, "WARM_AFTER", 0.01)
    async with Watched(person=True).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        await wait_for(pilot, lambda: started(app.wizard.preview))
        assert app.step.step_id == "template"


async def test_a_wizard_that_is_left_at_once_starts_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wizard_screen, "WARM_AFTER", 3_600.0)
    async with Watched(person=True).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        wizard = app.wizard
        (timer,) = (one for one in wizard._timers if one._interval == 3_600.0)
        await pilot.press("escape")
        await wait_for(pilot, lambda: isinstance(app.screen, Blank))
        await wait_for(pilot, lambda: timer._task is None or timer._task.done())
        await wizard.preview.start()
        assert not started(wizard.preview)


def looking(app: WizardApp) -> list[Worker[Any]]:
    """What waits to ask for a model or for data."""
    return [worker for worker in app.workers if worker.group in ("model", "data")]


def asked_of(preview: PreviewClient, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of questions it is asked from now on."""
    asked: list[str] = []
    ask = preview.ask

    async def noted(kind: str, *args: object, **kwargs: object) -> object:
        asked.append(kind)
        return await ask(kind, *args, **kwargs)  # type: ignore[arg-type] # passed on as it came

    monkeypatch.setattr(preview, "ask", noted)
    return asked
