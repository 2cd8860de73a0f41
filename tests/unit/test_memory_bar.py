"""The bar of the memory: where its parts end, and where what is safe to take does."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dpo_tui.widgets.memory_bar import LOOKS, bar, row
from engine.forecast import Forecast
from engine.memory import PARTS, Estimate
from engine.remedy import FULL

GIB = 1 << 30


def forecast(room: int, **parts: int) -> Forecast:
    sizes: dict[Any, int] = {part: parts.get(part, 0) for part in PARTS}
    return Forecast(Estimate("turn", sizes), 4096, room, None)


FORECASTS = st.builds(
    lambda room, sizes: forecast(room, **dict(zip(PARTS, sizes, strict=True))),
    st.integers(1, 200 * GIB),
    st.lists(st.integers(0, 50 * GIB), min_size=6, max_size=6),
)


def drawn(found: Forecast, width: int) -> str:
    letters = {part: letter for part, (letter, _) in LOOKS.items()}
    return "".join("." if part is None else letters[part] for part in row(found, width).parts)


def test_parts_are_as_long_as_they_are_large() -> None:
    found = forecast(20 * GIB, weights=4 * GIB, optimizer=6 * GIB, activations=2 * GIB)
    assert drawn(found, 20) == "WWWWOOOOOOAA........"
    assert row(found, 20).safe == 18


def test_what_does_not_fit_makes_the_bar_longer_than_the_room() -> None:
    found = forecast(10 * GIB, weights=10 * GIB, optimizer=10 * GIB)
    assert drawn(found, 20) == "W" * 10 + "O" * 10
    assert row(found, 20).safe == 9


def test_each_part_has_a_letter_of_its_own() -> None:
    assert tuple(LOOKS) == PARTS
    assert len({letter for letter, _ in LOOKS.values()}) == len(PARTS)


@example(forecast(7, head=6), 2)
@given(FORECASTS, st.integers(2, 200))
def test_parts_pass_the_mark_just_where_they_may_not_fit(found: Forecast, width: int) -> None:
    cells = row(found, width)
    used = [part for part in cells.parts if part is not None]
    assert len(cells.parts) == width
    assert used == sorted(used, key=PARTS.index) or not found.fits
    assert tuple(used) == cells.parts[: len(used)]
    assert (len(used) > cells.safe) == (not found.fits)


@given(FORECASTS, st.integers(10, 200))
def test_a_bar_fills_its_width_and_names_each_part_once(found: Forecast, width: int) -> None:
    line = bar(found, width).plain
    assert len(line) == width
    assert line.count("┃") == 1
    letters = [character for character in line if character.isalpha()]
    assert len(letters) == len(set(letters))


@pytest.mark.parametrize(("share", "beyond"), [(FULL - 0.001, 0), (FULL + 0.001, 1), (1.5, 13)])
def test_what_is_beyond_the_mark_is_seen_without_colours(share: float, beyond: int) -> None:
    found = forecast(100 * GIB, weights=int(share * 100 * GIB))
    assert bar(found, 33).plain.partition("┃")[2].count("█") == beyond
