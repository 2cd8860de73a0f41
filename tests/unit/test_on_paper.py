"""What is foretold of GPUs that are not here: the page shows what the command prints."""

from pathlib import Path

import pytest

from benchmarks.on_paper import CARDS, COUNTS, MODELS, quick_start, row
from engine.shape import shape_of

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")


def test_the_page_has_the_quick_start_s_table_as_it_is_printed() -> None:
    assert quick_start() in PAGE, "run: python -m benchmarks.on_paper"


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", MODELS)
def test_the_page_has_every_row_as_it_is_printed(name: str, count: int) -> None:
    shape = shape_of(MODELS[name])
    assert shape is not None
    assert row(name, shape, count, CARDS["H100"]) in PAGE, "run: python -m benchmarks.on_paper"


def test_adapters_on_four_bits_fit_a_small_card_and_all_weights_a_large_one() -> None:
    lines = quick_start().splitlines()[2:]
    assert len(lines) == 8
    assert [line for line in lines if "does not fit" in line] == []
