"""Two answers side by side, whatever the model wrote."""

from itertools import pairwise

import pytest

from benchmarks.before_after import GAP, column, report, side_by_side

LONG = "The answer to this question is a long one. " * 6


@pytest.mark.parametrize("width", [40, 80, 100, 133])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for line in report(["Why is that?"], [LONG + "x" * 300], ["Because."], width):
        assert len(line) <= width


def test_the_columns_start_at_the_same_place_in_every_line() -> None:
    lines = list(side_by_side(LONG, LONG, 80))
    second = lines[0].index("After")
    assert second == (80 - len(GAP)) // 2 + len(GAP)
    assert all(line[second - len(GAP) : second] == GAP for line in lines)
    assert all(before != after for before, after in pairwise(lines))


def test_a_column_is_headed_by_its_count_of_words() -> None:
    assert column("After", "Because it is.", 30)[0] == "After (3 words)"
    assert column("After", "Because.", 30)[0] == "After (1 word)"


def test_characters_that_steer_a_terminal_are_left_out() -> None:
    lines = list(side_by_side("a\x1b[2Jb\x07\r", "c\u202ed", 60))
    assert "a[2Jb" in lines[-1]
    assert "cd" in lines[-1]


def test_the_last_line_compares_the_mean_lengths() -> None:
    assert [*report(["p", "q"], ["a b c d", "a b"], ["a", "a"], 60)][-1] == (
        "Words an answer, on average: 3 before, 1 after."
    )
