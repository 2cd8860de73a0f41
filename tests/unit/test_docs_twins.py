"""The pages there are in two languages say the same: the same commands, code, links, tables and headings."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/xtuner.md")
TWIN = ".zh-CN.md"
COMMENT = re.compile(r"(^|\s+)#.*$", re.MULTILINE)
FENCED = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def both(page: str) -> tuple[str, str]:
    """The page, and its twin."""
    english = ROOT / page
    twin = english.with_name(english.stem + TWIN)
    return english.read_text(encoding="utf-8"), twin.read_text(encoding="utf-8")


def commands(text: str) -> list[tuple[str, list[str]]]:
    """The code blocks with their languages, without comments, which are in the page's language."""
    return [(kind, COMMENT.sub("", block).split("\n")) for kind, block in FENCED.findall(text)]


def inline(text: str) -> set[str]:
    """What is marked as code in sentences and tables."""
    return set(re.findall(r"`([^`\n]+)`", FENCED.sub("", text)))


def links(text: str) -> list[str]:
    """Where links and pictures of this repository lead, a twin and its page being one place."""
    found = re.findall(r"\]\(([^)]+)\)", FENCED.sub("", text))
    return sorted(target.replace(TWIN, ".md") for target in found if "://" not in target)


def skeleton(text: str) -> list[str]:
    """Headings by their level, points, and rows of tables by their columns, in their order."""
    lines = FENCED.sub("", text).splitlines()
    marks = (re.match(r"#+ |\* |\|", line) for line in lines)
    return [
        f"| {line.count('|')}" if mark[0] == "|" else mark[0]
        for mark, line in zip(marks, lines, strict=True)
        if mark
    ]


@pytest.mark.parametrize("page", PAGES)
def test_twins_show_the_same_commands(page: str) -> None:
    english, chinese = (commands(text) for text in both(page))
    assert english
    assert chinese == english


@pytest.mark.parametrize("page", PAGES)
def test_twins_name_the_same_code(page: str) -> None:
    english, chinese = (inline(text) for text in both(page))
    assert english
    assert chinese ^ english == set()


@pytest.mark.parametrize("page", PAGES)
def test_twins_have_the_same_links(page: str) -> None:
    english, chinese = (links(text) for text in both(page))
    assert english
    assert chinese == english


@pytest.mark.parametrize("page", PAGES)
def test_twins_are_built_alike(page: str) -> None:
    english, chinese = (skeleton(text) for text in both(page))
    assert english
    assert chinese == english


@pytest.mark.parametrize("page", PAGES)
def test_each_twin_leads_to_the_other_in_its_first_lines(page: str) -> None:
    english, chinese = (text.splitlines()[:3] for text in both(page))
    name = Path(page).name
    assert f"]({Path(page).stem}{TWIN})" in "".join(english)
    assert f"]({name})" in "".join(chinese)
