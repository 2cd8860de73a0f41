"""The keys of the charts, wherever the focus is."""

from pathlib import Path

import pytest

from dpo_tui.text import Language
from dpo_tui.widgets.chart_grid import ChartGrid
from dpo_tui.widgets.log_view import LogView
from tests.tui.driving import SIZES, assert_sound, settle, wait_for
from tests.tui.monitoring import STATES, monitor_of, monitoring


async def test_a_digit_shows_its_chart_and_z_makes_it_large_from_the_log(tmp_path: Path) -> None:
    async with monitoring(STATES["running"](tmp_path)) as pilot:
        monitor = monitor_of(pilot)
        charts = monitor.query_one(ChartGrid).charts
        monitor.query_one(LogView).lines.focus()
        await pilot.press("9")
        await wait_for(pilot, lambda: monitor.focused is charts[8])
        monitor.query_one(LogView).lines.focus()
        await pilot.press("2")
        await wait_for(pilot, lambda: monitor.focused is charts[1])
        monitor.query_one(LogView).lines.focus()
        shown = sum(chart.display for chart in charts)
        await pilot.press("z")
        await wait_for(pilot, lambda: sum(chart.display for chart in charts) == 1)
        await pilot.press("z")
        await wait_for(pilot, lambda: sum(chart.display for chart in charts) == shown)


@pytest.mark.parametrize("state", sorted(STATES))
@pytest.mark.parametrize("size", SIZES[:1])
async def test_the_footer_has_room_for_all_keys_when_the_log_has_the_focus(
    tmp_path: Path, state: str, size: tuple[int, int], language: Language
) -> None:
    async with monitoring(STATES[state](tmp_path), size) as pilot:
        monitor_of(pilot).query_one(LogView).lines.focus()
        await settle(pilot)
        assert_sound(pilot.app)
