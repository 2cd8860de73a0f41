"""From the list of runs to a training in six presses, and what keeps a run from starting."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dpo_tui import starting
from dpo_tui.text import Language
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.start import save, start
from engine.config.load import load_config
from engine.exits import EnvironmentUnfitError, UsageError
from engine.launch.local import supervisor_command
from engine.rundir.paths import RunDir
from engine.rundir.status import read_record, read_status
from tests.fake_engine import supervisor
from tests.tui.driving import frame, wait_for
from tests.tui.wizard_app import WizardApp, at_review, ended_with, opened, stand_still


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch, quiet_home: Path) -> Iterator[None]:
    stand_still(monkeypatch)
    with ended_with(quiet_home):
        yield


async def test_five_presses_after_new_a_run_trains(language: Language) -> None:
    async with WizardApp().run_test(size=(80, 24)) as pilot:
        app = await opened(pilot)
        await pilot.press(*["ctrl+n"] * 4, "enter")
        root = Path.cwd() / "runs" / "quickstart"
        await wait_for(pilot, lambda: app.monitored == [root])
        assert load_config(root / "config.toml").config.run.name == "quickstart"
        assert Path("quickstart.toml").read_text() == Draft.from_template("quickstart").text
        assert app.recents.recall("config") == [str(Path("quickstart.toml").absolute())]
        await wait_for(pilot, lambda: (status := read_status(RunDir(root).status_json)) and status.final)
        status = read_status(RunDir(root).status_json)
        assert status is not None
        assert status.state == "done"
        record = read_record(RunDir(root).run_json)
        assert record is not None
        assert record.owner is None


async def test_the_next_run_gets_the_next_name_and_file() -> None:
    Path("runs/quickstart").mkdir(parents=True)
    Path("runs/quickstart/config.toml").touch()
    Path("quickstart.toml").write_text("# other\n")
    async with WizardApp().run_test(size=(80, 24)) as pilot:
        app, _ = await at_review(pilot)
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.monitored == [Path.cwd() / "runs" / "quickstart-2"])
        assert Path("quickstart.toml").read_text() == "# other\n"
        assert 'name = "quickstart-2"' in Path("quickstart-2.toml").read_text()


async def test_a_place_that_cannot_be_written_is_said_beside_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app, _ = await at_review(pilot)

        def refuse(*_: object, **__: object) -> None:
            raise UsageError("some.code", "the [disk] is full\x1b[2J")

        monkeypatch.setattr(starting, "create", refuse)
        await pilot.press("enter")
        await wait_for(pilot, lambda: "the [disk] is full" in frame(app))
        assert app.monitored == []
        monkeypatch.undo()


async def test_a_run_that_came_into_being_meanwhile_is_said_and_fixed() -> None:
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app, step = await at_review(pilot)
        Path("runs/quickstart").mkdir(parents=True)
        Path("runs/quickstart/config.toml").touch()
        await pilot.press("enter")
        await wait_for(pilot, lambda: "exists already" in frame(app))
        await wait_for(pilot, lambda: step.problems() == ["name"])
        await pilot.press("f")
        await wait_for(pilot, lambda: step.problems() == [] and not step.looking)
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.monitored == [Path.cwd() / "runs" / "quickstart-2"])


def test_a_file_somebody_changed_meanwhile_is_left_alone() -> None:
    Draft.from_template("quickstart").save(Path("mine.toml"))
    draft = Draft.from_file(Path("mine.toml"))
    draft.set("train.epochs", 2)
    Path("mine.toml").write_text("# in an editor\n")
    assert save(draft) == Path("mine-2.toml")
    assert Path("mine.toml").read_text() == "# in an editor\n"
    assert draft.path == Path("mine-2.toml")


def test_a_supervisor_that_cannot_start_leaves_no_run() -> None:
    draft = Draft.from_template("quickstart")
    with pytest.raises(EnvironmentUnfitError, match="cannot be started"):
        start(draft, lambda *_: ["/no/such/program"])
    assert not Path("runs/quickstart").exists()
    started = start(draft, supervisor("--steps", "1"))
    assert started.root == Path.cwd() / "runs" / "quickstart"


def test_a_draft_with_faults_does_not_start() -> None:
    draft = Draft.from_template("quickstart")
    draft.set("train.epochs", "soon")
    with pytest.raises(UsageError, match="epochs: expected a number"):
        start(draft, supervisor_command)
    assert not Path("runs").exists()
