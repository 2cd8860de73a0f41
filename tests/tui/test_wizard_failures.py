"""What nobody foresaw while a run is checked or started: it is said, and the wizard goes on."""

from pathlib import Path
from typing import NoReturn

import pytest

from dpo_tui.text import Language, t
from dpo_tui.wizard import review
from dpo_tui.wizard import start as starting
from engine.exits import CannotWriteError
from tests.tui.driving import frame, shows, wait_for
from tests.tui.wizard_app import WizardApp, at_review, stand_still


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)


def fail(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("[odd]\x1b[2J")


async def test_a_start_that_fails_in_any_way_says_so(
    language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app, step = await at_review(pilot)
        with monkeypatch.context() as broken:
            broken.setattr(starting, "to_start", fail)
            await pilot.press("enter")
            await wait_for(pilot, lambda: f"{t('app.failed')}: [odd]" in frame(app))
        assert t("wizard.review.starting") not in frame(app)
        await wait_for(pilot, lambda: not step.looking)
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.monitored == [Path.cwd() / "runs" / "quickstart"])


async def test_checks_that_fail_in_any_way_keep_nobody_from_starting(
    language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review, "gather", fail)
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app, _ = await at_review(pilot)
        await shows(pilot, f"⚠ {t('wizard.check.unfinished.warn', detail='[odd]')}")
        assert "\x1b" not in frame(app)
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.monitored == [Path.cwd() / "runs" / "quickstart"])


async def test_what_a_disk_says_of_a_save_is_only_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise CannotWriteError("some.code", "no\x1b]0;title\x07 room")

    Path("mine.toml").write_text("[train]\nepochs = 1\n")
    async with WizardApp(Path("mine.toml")).run_test(size=(120, 40), notifications=True) as pilot:
        app = pilot.app
        assert isinstance(app, WizardApp)
        await wait_for(pilot, lambda: app.wizard.is_mounted)
        monkeypatch.setattr(app.wizard.draft, "save", refuse)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: "no\\x1b]0;title\\x07 room" in frame(app))
        assert "\x1b" not in frame(app)
