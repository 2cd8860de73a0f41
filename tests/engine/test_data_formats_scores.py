"""How much better chosen was judged than rejected, in all the ways rows say it."""

from typing import Any

import pytest

from engine.data.formats.catalogue import CATALOGUE, VARIANTS
from engine.data.formats.scores import MARGINS, SCORE_PAIRS, margin

FOUND = {entry.found: entry.sample for entry in (*CATALOGUE.values(), *VARIANTS)}


@pytest.mark.parametrize(("chosen", "rejected"), SCORE_PAIRS)
def test_a_margin_is_the_difference_of_the_scores(chosen: str, rejected: str) -> None:
    assert margin({chosen: 8.5, rejected: "3"}) == 5.5
    assert margin({chosen: 1, rejected: 3}) == -2


@pytest.mark.parametrize(("chosen", "rejected"), SCORE_PAIRS)
@pytest.mark.parametrize("other", [None, "high", True, float("nan"), float("inf"), [3]])
def test_a_score_that_is_no_number_makes_no_margin(chosen: str, rejected: str, other: object) -> None:
    assert margin({chosen: 8.5, rejected: other}) is None
    assert margin({chosen: 8.5}) is None


@pytest.mark.parametrize("name", MARGINS)
def test_a_margin_may_stand_in_a_column_of_its_own(name: str) -> None:
    assert margin({name: 0.25}) == 0.25
    assert margin({name: "high"}) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"rating": [2.0, 9.0], "generations": ["a", "b"], "chosen": "b"}, 7.0),
        ({"rating": [9.0, 2.0], "generations": ["a", "b"], "chosen": "b"}, -7.0),
        ({"rating": [2.0, 9.0], "chosen_score": 9.0}, 7.0),
        ({"rating": [2.0, None], "generations": ["a", "b"], "chosen": "b"}, None),
        ({"rating": [2.0, 9.0], "generations": ["a", "a"], "chosen": "a"}, None),
        ({"rating": [2.0, 9.0]}, None),
        ({"rating": 5}, None),
        ({"overall_preference": -2}, 2.0),
        ({"overall_preference": "3"}, 3.0),
        ({}, None),
    ],
)
def test_a_margin_is_read_from_ratings_and_from_a_preference(
    fields: dict[str, Any], expected: float | None
) -> None:
    assert margin(fields) == expected


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("HuggingFaceH4/ultrafeedback_binarized", 5.5),
        ("argilla/ultrafeedback-binarized-preferences-cleaned", 2.0),
        ("argilla/distilabel-capybara-dpo-7k-binarized", 4.0),
        ("argilla/distilabel-intel-orca-dpo-pairs", 7.0),
        ("OpenRLHF", 0.8),
        ("nvidia/HelpSteer3", 2.0),
        ("mlabonne/orpo-dpo-mix-40k", None),
    ],
)
def test_the_data_sets_with_scores_say_their_margin(found: str, expected: float | None) -> None:
    assert margin(FOUND[found]) == (expected if expected is None else pytest.approx(expected))
