"""Numbers, durations and ages as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpo_tui.metrics.numbers import NONE, ago, duration, short, signed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.000003, "3e-6"),
        (-1.5e-7, "-1.5e-7"),
        (0.00123, "0.00123"),
        (0.0123, "0.0123"),
        (0.41234, "0.412"),
        (0.99961, "1.00"),
        (-1.8345, "-1.83"),
        (9.996, "10.0"),
        (182.34, "182"),
        (9812.0, "9812"),
        (12345.0, "12.3k"),
        (999_600.0, "1.00M"),
        (1234567.0, "1.23M"),
        (3.3e20, "3.30e20"),
        (None, NONE),
        (float("nan"), NONE),
    ],
)
def test_a_number_has_three_significant_digits(value: float | None, text: str) -> None:
    assert short(value) == text


@given(st.floats(-1e30, 1e30).filter(lambda value: value == 0 or abs(value) > 1e-30))
def test_a_number_keeps_its_value_and_stays_short(value: float) -> None:
    text = short(value)
    assert len(text) <= 9
    factors = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}
    read = float(text[:-1]) * factors[text[-1]] if text[-1] in factors else float(text)
    assert read == pytest.approx(value, rel=0.006)


def test_numbers_around_zero_have_their_sign() -> None:
    assert [signed(value) for value in (0.61, -1.22, 0.0, None)] == ["+0.610", "-1.22", "0", NONE]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.42, "0.4s"),
        (42.0, "42s"),
        (570.0, "9m 30s"),
        (725.0, "12m"),
        (11_100.0, "3h 05m"),
        (100_000.0, "1d 3h"),
        (None, NONE),
        (-1.0, NONE),
        (float("inf"), NONE),
    ],
)
def test_a_duration_names_its_two_largest_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5.0, "just now"),
        (59.0, "just now"),
        (125.0, "2m ago"),
        (7300.0, "2h ago"),
        (200_000.0, "2d ago"),
        (None, NONE),
    ],
)
def test_an_age_names_its_largest_unit(seconds: float | None, text: str) -> None:
    assert ago(seconds) == text
