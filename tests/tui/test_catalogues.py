"""Both languages say everything, with the same values filled in, and every key of the app is named."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

import dpo_tui
from dpo_tui.keys import FORBIDDEN
from dpo_tui.text import LANGUAGES, catalogue, choose

PACKAGE = Path(dpo_tui.__file__).parent


def placeholders(text: str) -> set[str]:
    return {name.partition("[")[0].partition(".")[0] for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_area_says_nothing_that_another_one_says_too(language: str) -> None:
    package = importlib.import_module(f"dpo_tui.text.{language}")
    seen: dict[str, str] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for key in importlib.import_module(f"{package.__name__}.{module.name}").TEXTS:
            assert key not in seen, f"{key} is in {seen.get(key)} and in {module.name}"
            seen[key] = module.name


def test_both_languages_have_the_texts_of_every_screen() -> None:
    """What only one has is the engine's: English sentences come from the engine itself."""
    english, chinese = catalogue("en"), catalogue("zh")
    own = {key for key in english.keys() | chinese.keys() if not key.startswith(ENGINES)}
    assert not sorted(own - chinese.keys())
    assert not sorted(own - english.keys())


ENGINES = ("code.", "fault.", "field.", "guide.", "report.", "advice.", "label.", "type.")


def test_both_languages_fill_in_the_same_values() -> None:
    english, chinese = catalogue("en"), catalogue("zh")
    both = english.keys() & chinese.keys()
    different = {key for key in both if placeholders(english[key]) != placeholders(chinese[key])}
    assert not different


def test_no_chinese_text_was_left_in_english() -> None:
    """A text without a single Chinese character is a name, a number, a unit, or was forgotten."""
    english, chinese = catalogue("en"), catalogue("zh")
    same = {
        key
        for key, text in chinese.items()
        if english.get(key) == text and len(re.findall(r"[A-Za-z]{3,}", re.sub(r"\{[^}]*\}", "", text))) > 2
    }
    assert not same


def test_every_text_asked_for_is_there() -> None:
    english = catalogue("en")
    asked = {key: place for path in PACKAGE.rglob("*.py") for key, place in asked_for(path)}
    assert len(asked) > 20
    assert not {key: place for key, place in asked.items() if key not in english}


def test_nothing_is_said_that_nobody_asks_for() -> None:
    sources = [path for path in PACKAGE.rglob("*.py") if path.parent.name not in LANGUAGES]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    begun = tuple(re.findall(r"""f["']([a-z_]+(?:\.[a-z_]+)*[._])\{""", code))
    own = {key for key in catalogue("en") if not key.startswith((*ENGINES, "key.", *begun))}
    assert len(own) > 100
    assert not {key for key in own if f'"{key}"' not in code and f"'{key}'" not in code}


def asked_for(path: Path) -> Iterator[tuple[str, str]]:
    """The keys that are written out in calls of `t`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "t"
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value), f"{path.relative_to(PACKAGE)}:{node.lineno}"


def bindings() -> Iterator[tuple[str, Binding]]:
    """Every key that a class of the app brings, with the class's name."""
    for module in pkgutil.walk_packages(dpo_tui.__path__, "dpo_tui."):
        for thing in vars(importlib.import_module(module.name)).values():
            ours = isinstance(thing, type) and thing.__module__ == module.name and issubclass(thing, DOMNode)
            for binding in thing.__dict__.get("BINDINGS", []) if ours else []:
                assert isinstance(binding, Binding), f"{thing.__name__}: {binding} has no id"
                yield thing.__name__, binding


def test_every_key_has_an_id_a_name_and_an_explanation() -> None:
    english = catalogue("en")
    for owner, binding in bindings():
        assert binding.id, f"{owner}: {binding.key}"
        assert f"key.{binding.id}" in english, owner
        assert f"key.{binding.id}.tip" in english, owner


def test_no_key_is_one_that_terminals_keep_for_themselves() -> None:
    bad = {
        (owner, key) for owner, binding in bindings() for key in binding.key.split(",") if key in FORBIDDEN
    }
    assert not bad


@pytest.mark.parametrize(
    ("asked", "preferred", "environ", "spoken"),
    [
        ("zh", "en", {"DPO_TUI_LANG": "en"}, "zh"),
        (None, "en", {"DPO_TUI_LANG": "zh"}, "zh"),
        (None, "zh", {"LANG": "en_US.UTF-8"}, "zh"),
        (None, None, {"LANG": "zh_CN.UTF-8"}, "zh"),
        (None, None, {"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        (None, None, {"LANG": "de_DE.UTF-8"}, "en"),
        (None, None, {"DPO_TUI_LANG": "xx"}, "en"),
        (None, None, {}, "en"),
    ],
)
def test_the_language_is_the_first_that_somebody_asked_for(
    asked: str | None, preferred: str | None, environ: dict[str, str], spoken: str
) -> None:
    assert choose(asked, preferred, environ) == spoken
