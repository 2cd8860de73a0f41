"""The person's settings, and what the app remembers between two starts."""

from pathlib import Path

import pytest

from dpo_tui.settings import Recents, Settings, load_settings
from engine.exits import UsageError


def test_without_a_file_there_are_the_defaults(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "none.toml") == Settings()


def test_settings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('language = "zh"\ntheme = "dpo-light"\n[keys]\n"home.new" = "N"\n')
    assert load_settings(path) == Settings("zh", "dpo-light", {"home.new": "N"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lang = 'zh'", "unknown key 'lang'; there are language, theme, keys"),
        ("language = 'fr'", "expected 'en' or 'zh'"),
        ("theme = 3", "theme: expected text in quotes"),
        ("keys = 'n'", "keys: expected a table"),
        ("[keys]\n'home.new' = 3", "keys.home.new: expected the name of a key"),
        ("theme = ", "Invalid value"),
    ],
)
def test_wrong_settings_are_named(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        load_settings(path)
    assert str(path) in error.value.text
    assert told in error.value.text


def test_what_was_chosen_last_comes_first_and_once(tmp_path: Path) -> None:
    recents = Recents(tmp_path / "state" / "recent.json")
    for name in ("a", "b", "a"):
        recents.remember("config", name)
    recents.remember("model", {"source": "hub", "id": "x"})
    assert Recents(tmp_path / "state" / "recent.json").recall("config") == ["a", "b"]
    assert recents.recall("model") == [{"source": "hub", "id": "x"}]


def test_only_so_many_are_remembered(tmp_path: Path) -> None:
    recents = Recents(tmp_path / "recent.json")
    for number in range(40):
        recents.remember("config", number)
    assert recents.recall("config") == list(range(39, 27, -1))


@pytest.mark.parametrize("content", [b"", b"[]", b'{"config": 3}', b"\xff", b"[" * 100_000])
def test_a_broken_memory_is_an_empty_one(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "recent.json"
    path.write_bytes(content)
    recents = Recents(path)
    assert recents.recall("config") == []
    recents.remember("config", "a")
    assert recents.recall("config") == ["a"]


def test_a_place_that_takes_no_memory_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    recents = Recents(tmp_path / "file" / "recent.json")
    recents.remember("config", "a")
    assert recents.recall("config") == []
