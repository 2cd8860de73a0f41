"""Opening the config that a run trains by: it is copied for a new run, and the run's own stays as it is."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from dpo_tui.text import Language
from dpo_tui.wizard.asking import SaveScreen
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.naming import config_path, in_directory, run_root
from dpo_tui.wizard.start import start
from engine.config.load import load_config
from tests.fake_engine import supervisor
from tests.tui.driving import frame, shows, wait_for
from tests.tui.fake_runs import make_run
from tests.tui.wizard_app import WizardApp, at_review, drawn, ended_with, opened, stand_still


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch, quiet_home: Path) -> Iterator[None]:
    stand_still(monkeypatch)
    with ended_with(quiet_home):
        yield


@pytest.fixture
def config(quiet_home: Path) -> Path:
    """The config of a run that has ended."""
    return make_run(quiet_home / "runs", "tuned", steps=3, total=3).config


async def test_start_makes_a_new_run_like_it(config: Path) -> None:
    before = config.read_bytes()
    async with WizardApp(config).run_test(size=(120, 40)) as pilot:
        app, _ = await at_review(pilot)
        await pilot.press("enter")
        root = Path.cwd() / "runs" / "tuned-2"
        await wait_for(pilot, lambda: app.monitored == [root])
    assert load_config(root / "config.toml").config.run.name == "tuned-2"
    assert Path("tuned-2.toml").exists()
    assert config.read_bytes() == before


async def test_saving_asks_for_a_place_outside_the_run(config: Path) -> None:
    before = config.read_bytes()
    async with WizardApp(config).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        app.wizard.draft.set("train.max_steps", 7)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: isinstance(app.screen, SaveScreen))
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.screen is app.wizard)
    assert "max_steps = 7" in Path("tuned-2.toml").read_text()
    assert config.read_bytes() == before


def refused(app: WizardApp, path: str) -> bool:
    """Whether the screen that asks where to save names this path in its answer."""
    return path in str(app.screen.query_one(".hint", Static).content)


async def test_a_run_s_own_config_is_never_saved_over(config: Path, language: Language) -> None:
    before = config.read_bytes()
    Path("link.toml").symlink_to(config)
    async with WizardApp().run_test(size=(80, 24)) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+s")
        await wait_for(pilot, lambda: isinstance(app.screen, SaveScreen))
        for typed in (str(config.relative_to(Path.cwd())), "link.toml"):
            app.screen.query_one(Input).value = typed
            await pilot.press("enter", "enter")
            await wait_for(pilot, partial(refused, app, typed))
            await shows(pilot, "tuned")
            assert isinstance(app.screen, SaveScreen)
    assert config.read_bytes() == before


async def test_the_first_step_says_what_it_is_a_copy_of(config: Path, language: Language) -> None:
    async with WizardApp(config).run_test(size=(200, 60)) as pilot:
        app = await opened(pilot)
        await drawn(pilot)
        await shows(pilot, "runs/tuned/config.toml", "tuned-2.toml")
        assert "None" not in frame(app)
        assert not app.wizard.unsaved


async def test_another_template_keeps_what_the_run_was_trained_on(config: Path) -> None:
    async with WizardApp(config).run_test(size=(120, 40)) as pilot:
        app = await opened(pilot)
        app.wizard.draft.switch_template("lora")
        draft = app.wizard.draft
        assert (draft.get("model.source"), draft.get("data.sources.0.source")) == ("builtin", "builtin")
        assert draft.name == "tuned-2"


def test_a_link_to_it_is_no_way_into_the_run(config: Path) -> None:
    Path("link.toml").symlink_to(config)
    draft = Draft.from_file(Path("link.toml"), in_directory(Path.cwd() / "runs"))
    assert (draft.path, config_path(draft)) == (None, Path("tuned-2.toml"))


def test_a_config_of_that_name_which_is_no_run_s_is_opened_itself(quiet_home: Path) -> None:
    path = quiet_home / "config.toml"
    path.write_text(Draft.from_template("quickstart").text)
    assert Draft.from_file(path, in_directory(quiet_home / "runs")).path == path


def test_a_copy_goes_where_the_app_has_its_runs(config: Path, quiet_home: Path) -> None:
    draft = Draft.from_file(config, in_directory(quiet_home / "elsewhere"))
    assert run_root(draft) == quiet_home / "elsewhere" / "tuned"
    started = start(draft, supervisor("--steps", "1"))
    assert started.root == quiet_home / "elsewhere" / "tuned"
