"""Paths on this machine: which fit where a model or pairs are wanted, and how far one typed can be completed."""

from pathlib import Path

import pytest

from dpo_tui.local_paths import Kind, Verdict, completed, judged, shown_in_tree

FILES = (
    "pairs/one.jsonl",
    "pairs/two.JSONL.GZ",
    "pairs/notes.txt",
    "pairs/.hidden.json",
    "chat/config.json",
    "chat/model.gguf",
    "deep/deeper/x.parquet",
    "packed/a.parquet.gz",
    ".secret/a.csv",
    "[/x]/a.csv",
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, and somebody's home, with files in them."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "kind", "verdict"),
    [
        ("pairs", "data", "fits"),
        ("pairs/one.jsonl", "data", "fits"),
        ("~/pairs/two.JSONL.GZ", "data", "fits"),
        ("pairs/notes.txt", "data", "unfit"),
        ("packed/a.parquet.gz", "data", "unfit"),
        ("deep", "data", "folder"),
        ("absent", "data", "missing"),
        ("\x00", "data", "missing"),
        ("x" * 300, "data", "missing"),
        ("~nobody-at-all/x", "model", "missing"),
        ("chat", "model", "fits"),
        ("chat/model.gguf", "model", "fits"),
        ("chat/config.json", "model", "unfit"),
        ("pairs", "model", "folder"),
    ],
)
def test_what_a_path_is(here: Path, text: str, kind: Kind, verdict: Verdict) -> None:
    assert judged(text, kind) == verdict


@pytest.mark.parametrize(
    ("begun", "whole"),
    [
        ("pa", "pa"),
        ("pai", "pairs/"),
        ("pairs/o", "pairs/one.jsonl"),
        ("pairs/n", "pairs/n"),
        ("pairs", "pairs/"),
        ("~/de", "~/deep/"),
        ("deep/", "deep/deeper/"),
        (".s", ".secret/"),
        ("[", "[/"),
        ("pairs/", "pairs/"),
        ("absent/x", "absent/x"),
        ("", ""),
    ],
)
def test_a_path_is_completed_as_far_as_it_is_certain(here: Path, begun: str, whole: str) -> None:
    assert completed(begun, "data") == whole


def test_an_absolute_path_is_completed_as_one(here: Path) -> None:
    assert completed(f"{here}/dee", "data") == f"{here}/deep/"


def test_a_tree_has_folders_and_what_fits(here: Path) -> None:
    names = ["one.jsonl", "notes.txt", ".hidden.json"]
    assert [shown_in_tree(here / "pairs" / name, "data", hidden=False) for name in names] == [
        True,
        False,
        False,
    ]
    assert shown_in_tree(here / "pairs" / ".hidden.json", "data", hidden=True)
    assert shown_in_tree(here / "deep", "data", hidden=False)
