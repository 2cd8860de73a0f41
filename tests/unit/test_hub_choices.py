"""What a list of repos shows, and how numbers in it are written."""

import pytest

from dpo_tui import quantities
from dpo_tui.hub.choices import choices
from dpo_tui.hub.search import Repo


def listed(text: str, found: list[str] | None = None) -> list[tuple[str, str]]:
    repos = [Repo(name) for name in found or ()]
    made = choices(text, ["me/tuned", "Qwen/Qwen2.5-7B"], ["Qwen/Qwen2.5-7B", "gpt2"], repos)
    return [(choice.repo.id, choice.why) for choice in made]


def test_what_was_used_before_comes_first_then_what_is_here_then_what_was_found() -> None:
    assert listed("", ["a/found", "gpt2"]) == [
        ("me/tuned", "recent"),
        ("Qwen/Qwen2.5-7B", "recent"),
        ("gpt2", "cached"),
        ("a/found", "found"),
    ]


def test_local_repos_match_fuzzily() -> None:
    assert listed("qwen7") == [("Qwen/Qwen2.5-7B", "recent")]


def test_a_repo_in_the_cache_takes_its_facts_from_the_hub() -> None:
    made = choices("gpt2", [], ["gpt2"], [Repo("gpt2", downloads=5)])
    assert [(choice.repo.downloads, choice.why) for choice in made] == [(5, "cached")]


def test_a_whole_id_that_nobody_knows_is_taken_as_typed() -> None:
    assert listed("owner/private", ["other/owner-private"])[0] == ("owner/private", "as_typed")


def test_the_beginning_of_an_id_is_taken_as_typed_last() -> None:
    assert listed("Qwen/Qwen2", ["Qwen/Qwen2-1B"])[-1] == ("Qwen/Qwen2", "as_typed")


def test_an_id_that_is_listed_comes_first_and_once() -> None:
    assert listed("B/Model", ["a/b-model", "b/model"])[:2] == [("b/model", "found"), ("a/b-model", "found")]


@pytest.mark.parametrize("text", ["qwen", "a b/c", "../etc", "a/b/c", "-a/b", ""])
def test_what_is_no_repo_id_cannot_be_taken_as_typed(text: str) -> None:
    assert "as_typed" not in {why for _, why in listed(text)}


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1k"),
        (12_345, "12.3k"),
        (999_999, "1M"),
        (134_515_008, "135M"),
        (7 * 10**9, "7B"),
    ],
)
def test_counts_have_three_digits(number: int, written: str) -> None:
    assert quantities.count(number) == written


@pytest.mark.parametrize(
    ("number", "written"), [(0, "0 B"), (999, "999 B"), (98_362_432, "98.4 MB"), (15_010_000_000, "15 GB")]
)
def test_sizes_have_a_unit(number: int, written: str) -> None:
    assert quantities.size(number) == written
