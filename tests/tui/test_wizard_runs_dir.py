"""`dpo-tui --runs DIR new my.toml`: the run goes into DIR, as it does without screens, and the file stays as it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input
from typer.testing import CliRunner

from dpo_tui import app as app_module
from dpo_tui import cli, start_app
from dpo_tui.text import Language
from dpo_tui.widgets.field import Field
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.naming import in_directory, run_root
from tests.tui.driving import SIZES, frame, shows, wait_for
from tests.tui.wizard_app import WizardApp, at_review, ended_with, opened, stand_still

MINE = """\
[run]
dir = "mine"

[model]
source = "builtin"
id = "smollm2-135m-instruct"

[[data.sources]]
source = "builtin"
path = "quickstart"
"""


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch, quiet_home: Path) -> Iterator[None]:
    stand_still(monkeypatch)
    (quiet_home / "my.toml").write_text(MINE)
    with ended_with(quiet_home):
        yield


@pytest.mark.parametrize(("given", "where"), [(True, "wanted"), (False, "mine")])
async def test_the_directory_given_decides(given: bool, where: str, quiet_home: Path) -> None:
    app = WizardApp(Path("my.toml"), quiet_home / "wanted", runs_given=given)
    async with app.run_test(size=(120, 40)) as pilot:
        await at_review(pilot)
        await shows(pilot, f"{where}/my")
        assert ("--runs" in frame(app)) == given
        await pilot.press("enter")
        await wait_for(pilot, lambda: app.monitored == [quiet_home / where / "my"])
    assert (quiet_home / "my.toml").read_text() == MINE


@pytest.mark.parametrize("size", SIZES)
async def test_the_field_shows_the_directory_that_counts_and_why(
    size: tuple[int, int], language: Language, quiet_home: Path
) -> None:
    app = WizardApp(Path("my.toml"), quiet_home / "wanted", runs_given=True)
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await pilot.press(*["ctrl+n"] * 3)
        await wait_for(pilot, lambda: app.step.step_id == "launcher")
        field = next(one for one in app.step.query(Field) if one.key == "run.dir")
        field.focus_value()
        assert field.query_one(Input).value == str(quiet_home / "wanted")
        await wait_for(pilot, lambda: "--runs" in frame(app))
        assert not app.wizard.draft.changed
        await pilot.press("end", "ctrl+u", *"mine")
        await wait_for(pilot, lambda: run_root(app.wizard.draft) == quiet_home / "mine" / "my")
        assert field.query_one(Input).value == "mine"
        await wait_for(pilot, lambda: "--runs" not in frame(app))


def test_a_directory_typed_in_the_wizard_decides_over_both(quiet_home: Path) -> None:
    draft = Draft.from_file(Path("my.toml"), runs_dir=quiet_home / "wanted")
    assert run_root(draft) == quiet_home / "wanted" / "my"
    draft.set("run.dir", "typed")
    assert (draft.runs_dir, run_root(draft)) == (None, quiet_home / "typed" / "my")
    draft.save(Path("my.toml"))
    assert run_root(draft) == quiet_home / "typed" / "my"


def test_another_template_goes_there_too(quiet_home: Path) -> None:
    wanted = quiet_home / "wanted"
    draft = Draft.from_file(Path("my.toml"), in_directory(wanted), runs_dir=wanted)
    draft.switch_template("lora")
    assert run_root(draft) == wanted / "my"


@pytest.mark.parametrize(
    ("words", "runs_dir", "given"),
    [
        (["--runs", "here", "new", "my.toml"], "here", True),
        (["new", "my.toml", "--runs", "here"], "here", True),
        (["new", "my.toml"], "runs", False),
        (["--runs", "here"], "here", True),
    ],
)
def test_the_command_line_tells_the_app(
    words: list[str], runs_dir: str, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, Any] = {}

    class App:
        farewells = ()
        return_code, return_value = 0, None

        def __init__(self, runs_dir: Path, **given: Any) -> None:
            told.update(given, runs_dir=runs_dir)

        def run(self) -> None:
            """Nothing to show."""

    monkeypatch.setattr(app_module, "DpoApp", App)
    monkeypatch.setattr(start_app, "has_screen", lambda: True)
    assert CliRunner().invoke(cli.app, words, catch_exceptions=False).exit_code == 0
    assert (told["runs_dir"], told["runs_given"]) == (Path(runs_dir), given)
