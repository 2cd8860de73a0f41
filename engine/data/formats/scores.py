"""How much better the chosen completion was judged than the rejected one."""

from typing import Any

from engine.data.formats.format import Fields
from engine.data.rows.shapes import number

SCORE_PAIRS = (
    ("score_chosen", "score_rejected"),
    ("chosen_score", "rejected_score"),
    ("chosen-rating", "rejected-rating"),
    ("chosen_rating", "rejected_rating"),
    ("rating_chosen", "rating_rejected"),
    ("chosen_reward", "rejected_reward"),
    ("reward_chosen", "reward_rejected"),
)
"""Columns with the score of chosen and that of rejected, as data sets name them."""

MARGINS = ("margin", "score_margin")

SCORE_COLUMNS = (*(name for pair in SCORE_PAIRS for name in pair), *MARGINS, "rating", "overall_preference")
"""Every column that scores are read from."""


def margin(fields: Fields) -> float | None:
    """Score of chosen minus score of rejected; None where the row does not say it, or not in numbers."""
    for chosen, rejected in SCORE_PAIRS:
        found = _difference(fields.get(chosen), fields.get(rejected))
        if found is not None:
            return found
    told = (number(fields.get(name)) for name in MARGINS)
    ways = (*told, _of_ratings(fields), _strength(fields))
    return next((value for value in ways if value is not None), None)


def _difference(chosen: Any, rejected: Any) -> float | None:
    better, worse = number(chosen), number(rejected)
    return None if better is None or worse is None else number(better - worse)


def _of_ratings(fields: Fields) -> float | None:
    """distilabel's `rating` of two texts: which of them was chosen, `generations` or `chosen_score` says."""
    ratings, texts, chosen = (fields.get(name) for name in ("rating", "generations", "chosen"))
    if not isinstance(ratings, list) or len(ratings) != 2:
        return None
    scores = [number(rating) for rating in ratings]
    if isinstance(texts, list) and isinstance(chosen, str) and texts.count(chosen) == 1:
        own = min(texts.index(chosen), 1)
    elif None not in scores and number(fields.get("chosen_score")) in scores:
        own = scores.index(number(fields.get("chosen_score")))
    else:
        return None
    return _difference(scores[own], scores[1 - own])


def _strength(fields: Fields) -> float | None:
    """HelpSteer3's `overall_preference`: below 0 for the first of two answers, above for the second."""
    found = number(fields.get("overall_preference"))
    return None if found is None else abs(found)
