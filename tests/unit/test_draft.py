"""The wizard's draft: bytes kept, values typed, faults found, files never lost."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpo_tui.wizard.draft import Draft, FileInTheWay
from engine.config.problems import ConfigError, Fault
from engine.config.toml import TomlDocument
from engine.exits import CannotWriteError, UsageError
from engine.shipped import template_dir, template_names

TOKEN = "hf_" + "a" * 24


@pytest.fixture
def draft() -> Draft:
    return Draft.from_template("lora")


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", template_names())
def test_opened_and_saved_untouched_a_file_keeps_every_byte(name: str, line_end: str, tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    content = (template_dir() / f"{name}.toml").read_text().replace("\n", line_end).encode()
    path.write_bytes(content)
    draft = Draft.from_file(path)
    for key in ("train.epochs", "data.sources.0.path", "model.lora.rank"):
        draft.set(key, draft.get(key) if draft.given(key) else None)
    assert not draft.changed
    draft.save(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("name", template_names())
def test_every_template_is_a_valid_draft(name: str) -> None:
    draft = Draft.from_template(name)
    assert draft.faults() == {}
    assert draft.config() is not None


def test_a_key_that_is_set_and_unset_leaves_the_comments_alone(draft: Draft) -> None:
    before = draft.text
    draft.set("train.max_steps", 30)
    assert draft.text.replace("max_steps = 30\n", "") == before
    draft.unset("train.max_steps")
    assert draft.text == before


def test_a_table_is_taken_out_and_the_rest_stays(draft: Draft) -> None:
    draft.unset("model.lora")
    assert not draft.given("model.lora")
    assert draft.get("model.lora.rank") == 16
    assert "# adapters take about twenty times the rate of a full model" in draft.text
    assert draft.faults() == {}


def test_an_entry_of_a_list_is_taken_out(draft: Draft) -> None:
    draft.set("data.sources", [{"path": "a/b"}, {"path": "c/d"}])
    draft.unset("data.sources.0")
    assert draft.get("data.sources") == [{"path": "c/d"}]


def test_a_key_that_is_not_there_is_taken_out_in_peace(draft: Draft) -> None:
    before = draft.text
    for key in ("train.max_steps", "launch.devices", "data.sources.7", "model.id.deeper"):
        draft.unset(key)
    assert draft.text == before


def test_the_default_counts_where_the_text_has_no_key(draft: Draft) -> None:
    assert draft.get("train.keep") == 2
    assert not draft.given("train.keep")
    assert draft.get("data.sources.0.split") == "train"
    assert draft.get("model.revision") is None


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("optimizer.learning_rate", "5e-7", 5e-7),
        ("train.pairs_per_step", " 32 ", 32),
        ("data.max_length", "4,096", 4096),
        ("train.epochs", "2", 2.0),
        ("model.id", "a/b", "a/b"),
        ("run.name", "7", "7"),
        ("train.share_prompt", "false", False),
        ("objective.loss", "ipo", "ipo"),
        ("model.lora.targets", "q_proj, v_proj", ["q_proj", "v_proj"]),
        ("model.lora.targets", "all-linear", "all-linear"),
        ("data.sources.0.columns", 'prompt = "a b"', {"prompt": "a b"}),
        (
            "data.sources.0.exclude",
            'source = ["a", "b"], ok = [false, 1]',
            {"source": ["a", "b"], "ok": [False, 1]},
        ),
        ("train.max_steps", "", None),
    ],
)
def test_what_is_typed_is_read_by_the_type_of_its_key(key: str, text: str, value: Any, draft: Draft) -> None:
    assert draft.parse(key, text) == value


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("train.pairs_per_step", "many", "a whole number"),
        ("train.pairs_per_step", "2.5", "a whole number"),
        ("train.pairs_per_step", "0", "at least 1"),
        ("objective.loss", "sigmoit", "Did you mean 'sigmoid'"),
        ("model.id", "", "missing"),
        ("data.max_prompt_length", "5000", "must be smaller than max_length"),
        ("data.sources.0.columns", "prompt", "a table"),
        ("data.sources.0.exclude", 'source = "a"', "a table of lists of texts"),
        ("model.lora.targets", "[1]", "a list of texts"),
    ],
)
def test_what_cannot_be_meant_is_a_fault(key: str, text: str, said: str, draft: Draft) -> None:
    before = draft.text
    fault = draft.parse(key, text)
    assert isinstance(fault, Fault)
    assert said in fault.text
    assert draft.text == before


def test_a_wrong_value_is_taken_over_with_its_fault(draft: Draft) -> None:
    assert draft.enter("train.epochs", "soon") is not None
    assert draft.get("train.epochs") == "soon"
    assert list(draft.faults()) == ["train.epochs"]
    assert draft.config() is None
    assert draft.enter("train.epochs", "2") is None
    assert draft.config() is not None


def test_typing_the_default_where_nothing_stands_changes_nothing(draft: Draft) -> None:
    draft.enter("train.keep", "2")
    assert not draft.changed
    draft.enter("train.keep", "3")
    draft.enter("train.keep", "2")
    assert draft.given("train.keep")


def test_a_learning_rate_is_written_as_people_write_it(draft: Draft) -> None:
    draft.enter("optimizer.learning_rate", "5e-7")
    assert "learning_rate = 5e-7 " in draft.text


def test_a_file_with_faults_opens_and_shows_them(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('[model]\nid = 3\n[train]\nepohcs = 1\n[data]\nsources = "x"\n')
    draft = Draft.from_file(path)
    assert {"model.id", "train.epohcs", "data.sources"} <= set(draft.faults())
    assert draft.fault_at("data.sources") is not None
    assert draft.get("data.sources.0.path") is None


def test_a_file_that_is_no_toml_is_a_located_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("[model]\nid = \n")
    with pytest.raises(ConfigError) as error:
        Draft.from_file(path)
    assert error.value.problems[0].line == 2


def test_a_new_file_is_written_and_becomes_the_drafts_own(draft: Draft, tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    draft.set("train.epochs", 2)
    draft.save(path)
    assert (path.read_text(), draft.path, draft.changed) == (draft.text, path, False)
    draft.set("train.epochs", 3)
    draft.save(path)
    assert "epochs = 3" in path.read_text()


def test_another_file_is_never_overwritten_unasked(draft: Draft, tmp_path: Path) -> None:
    path = tmp_path / "theirs.toml"
    path.write_text("# theirs\n")
    with pytest.raises(FileInTheWay):
        draft.save(path)
    assert (path.read_text(), draft.path) == ("# theirs\n", None)
    draft.save(path, overwrite=True)
    assert path.read_text() == draft.text


def test_a_file_somebody_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    Draft.from_template("lora").save(path)
    draft = Draft.from_file(path)
    path.write_text("# changed in an editor\n")
    draft.set("train.epochs", 2)
    with pytest.raises(FileInTheWay):
        draft.save(path)
    assert path.read_text() == "# changed in an editor\n"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "link.toml"
    Draft.from_template("lora").save(real)
    link.symlink_to(real)
    draft = Draft.from_file(link)
    draft.set("train.epochs", 9)
    draft.save(link)
    assert link.is_symlink()
    assert "epochs = 9" in real.read_text()


def test_a_place_that_cannot_be_written_is_named(draft: Draft, tmp_path: Path) -> None:
    with pytest.raises(CannotWriteError, match="nowhere"):
        draft.save(tmp_path / "nowhere" / "x.toml")
    assert draft.path is None


def test_a_token_is_a_fault_is_not_shown_and_is_not_saved(draft: Draft, tmp_path: Path) -> None:
    draft.set("export.push", TOKEN)
    assert "Never put a token in a file" in draft.faults()["export.push"].text
    assert TOKEN not in draft.shown_text
    with pytest.raises(UsageError, match="token"):
        draft.save(tmp_path / "x.toml")
    assert os.listdir(tmp_path) == []


def test_another_template_keeps_the_model_the_data_and_the_name(draft: Draft) -> None:
    draft.set("model.id", "me/mine")
    draft.set("data.sources", [{"source": "local", "path": "my.jsonl"}])
    draft.set("run.name", "mine")
    draft.set("train.epochs", 7)
    draft.switch_template("quickstart")
    assert (draft.get("model.source"), draft.get("model.id")) == ("hub", "me/mine")
    assert draft.get("data.sources") == [{"source": "local", "path": "my.jsonl"}]
    assert (draft.name, draft.get("train.epochs")) == ("mine", 1)
    assert draft.get("data.max_length") == 512
    assert not draft.given("model.lora")


def test_another_template_brings_its_own_model_where_none_was_chosen(draft: Draft) -> None:
    draft.switch_template("quickstart")
    assert draft.text == Draft.from_template("quickstart").text
    assert not draft.changed


def test_another_template_lets_the_file_go(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[model]\nid = "me/mine"\n[[data.sources]]\npath = "a/b"\n')
    draft = Draft.from_file(path)
    draft.switch_template("lora")
    assert (draft.path, draft.name, draft.get("model.id")) == (None, "mine", "me/mine")
    assert draft.given("model.lora.rank")
    with pytest.raises(FileInTheWay):
        draft.save(path)


def test_the_changed_lines_are_those_of_the_keys_that_changed(draft: Draft) -> None:
    assert draft.changed_lines() == frozenset()
    draft.set("train.epochs", 3)
    draft.set("train.keep", 5)
    lines = draft.shown_text.split("\n")
    assert sorted(lines[number - 1] for number in draft.changed_lines()) == ["epochs = 3", "keep = 5"]


@given(st.text(max_size=40), st.sampled_from(["model.id", "train.epochs", "model.lora.targets", "run.name"]))
def test_whatever_is_typed_the_text_stays_toml(text: str, key: str) -> None:
    draft = Draft.from_template("quickstart")
    draft.enter(key, text)
    assert TomlDocument.parse(draft.text, Path("x")).unwrap() == draft.values()
