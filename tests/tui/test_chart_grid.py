"""All charts of a run: as many as fit, and any of them at a key."""

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from dpo_tui.text import Language
from dpo_tui.widgets.chart_grid import CHART_ROWS, ChartGrid
from dpo_tui.widgets.metric_chart import MetricChart
from tests.tui.charted import Shown, trained
from tests.tui.driving import SIZES, frame, shows


def seen(grid: ChartGrid) -> list[str]:
    return [chart.spec.id for chart in grid.charts if chart.display]


def focused(pilot: Pilot[None]) -> str:
    chart = pilot.app.screen.focused
    assert isinstance(chart, MetricChart)
    return chart.spec.id


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_the_charts_of_a_run(
    size: tuple[int, int], language: Language, snapshot: SnapshotAssertion
) -> None:
    grid = ChartGrid()
    app = Shown(grid)
    async with app.run_test(size=size) as pilot:
        grid.show(trained(300, evaluated=60))
        await pilot.pause()
        assert frame(app) == snapshot


@pytest.mark.parametrize(
    ("size", "count"), [((80, 24), 1), ((99, 60), 1), ((120, 26), 6), ((160, 24), 9), ((200, 60), 9)]
)
async def test_as_many_charts_are_shown_as_fit(size: tuple[int, int], count: int) -> None:
    grid = ChartGrid()
    async with Shown(grid).run_test(size=size) as pilot:
        await pilot.pause()
        shown = [chart for chart in grid.charts if chart.display]
        assert len(shown) == count
        assert all(chart.size.height >= CHART_ROWS for chart in shown)


async def test_a_digit_shows_its_chart_and_goes_there() -> None:
    grid = ChartGrid()
    async with Shown(grid).run_test(size=(80, 24)) as pilot:
        grid.show(trained(50))
        await pilot.press("tab", "7")
        await pilot.pause()
        assert seen(grid) == ["grad_norm"]
        assert focused(pilot) == "grad_norm"
        await shows(pilot, "grad norm")


async def test_a_chart_out_of_sight_learns_what_happened_meanwhile() -> None:
    grid, history = ChartGrid(), trained(50)
    async with Shown(grid).run_test(size=(80, 24)) as pilot:
        grid.show(history)
        history.take([{"type": "step", "step": 51, "rewards/margins": 42.0}])
        grid.show(history)
        await pilot.press("tab", "2")
        await pilot.pause()
        await shows(pilot, "42.0")


async def test_one_chart_takes_all_the_room_and_gives_it_back() -> None:
    grid = ChartGrid()
    async with Shown(grid).run_test(size=(120, 40)) as pilot:
        await pilot.press("tab", "4", "z")
        await pilot.pause()
        assert seen(grid) == ["accuracy"]
        assert focused(pilot) == "accuracy"
        await pilot.press("z")
        await pilot.pause()
        assert len(seen(grid)) > 4
        assert focused(pilot) == "accuracy"


async def test_a_smaller_terminal_keeps_the_focus_on_a_chart_that_is_seen() -> None:
    grid = ChartGrid()
    async with Shown(grid).run_test(size=(120, 40)) as pilot:
        await pilot.press("tab", "tab", "tab")
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert focused(pilot) in seen(grid)
