"""Names of runs and files that nothing has yet."""

from pathlib import Path

import pytest

from dpo_tui.starting import occupied
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.naming import config_path, free_name, in_directory, near, run_root, safe


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_draft_has_a_name_that_is_free(here: Path) -> None:
    for name in ("quickstart", "quickstart-2"):
        (here / "runs" / name).mkdir(parents=True)
        (here / "runs" / name / "config.toml").touch()
    draft = Draft.from_template("quickstart", in_directory(here / "runs"))
    assert (draft.name, draft.changed) == ("quickstart-3", False)
    draft.switch_template("lora")
    assert (draft.name, draft.changed) == ("lora", False)


def test_a_new_draft_is_in_the_directory_of_the_app(here: Path) -> None:
    draft = Draft.from_template("quickstart", in_directory(here / "elsewhere"))
    assert run_root(draft) == here / "elsewhere" / "quickstart"
    assert not Draft.from_template("quickstart", in_directory(here / "runs")).given("run.dir")


def test_a_file_keeps_its_own_directory_and_name(here: Path) -> None:
    (here / "mine.toml").write_text('[model]\nid = "a/b"\n[[data.sources]]\npath = "a/b"\n')
    (here / "runs" / "mine" / "x").mkdir(parents=True)
    draft = Draft.from_file(here / "mine.toml", in_directory(here / "elsewhere"))
    assert run_root(draft) == here / "runs" / "mine"
    assert not draft.changed


@pytest.mark.parametrize(
    ("there", "free"), [(["a"], "a-2"), (["a", "a-2"], "a-3"), (["a-7"], "a"), ([], "a")]
)
def test_the_first_number_that_is_free_is_taken(there: list[str], free: str, here: Path) -> None:
    for name in there:
        (here / name).touch()
    assert free_name(here / "a") == free


def test_a_number_that_is_there_is_counted_on(here: Path) -> None:
    (here / "a-2").touch()
    assert free_name(here / "a-2") == "a-3"


def test_a_config_is_called_after_its_run(here: Path) -> None:
    draft = Draft.from_template("quickstart")
    assert config_path(draft) == Path("quickstart.toml")
    (here / "quickstart.toml").write_text("# other\n")
    assert config_path(draft) == Path("quickstart-2.toml")
    (here / "quickstart-2.toml").write_text(draft.text)
    assert config_path(draft) == Path("quickstart-2.toml")
    draft.path = Path("sub/own.toml")
    assert config_path(draft) == Path("sub/own.toml")


@pytest.mark.parametrize(
    ("name", "made"), [("a b/c", "a-b-c"), ("..", "run"), ("é", "run"), ("x" * 99, "x" * 64)]
)
def test_a_file_name_is_made_of_any_name(name: str, made: str) -> None:
    assert safe(name) == made


def test_an_empty_directory_and_a_dangling_link(here: Path) -> None:
    (here / "empty").mkdir()
    (here / "dangling").symlink_to(here / "gone")
    there = [occupied(here / name) for name in ("empty", "dangling", "gone", "x" * 300)]
    assert there == [False, True, False, False]


def test_a_path_is_shown_from_here(here: Path) -> None:
    assert (near(here / "runs" / "a"), near(Path("/usr/x"))) == ("runs/a", "/usr/x")
